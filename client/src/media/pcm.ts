/** Sound as numbers: 16-bit samples at one rate, of a microphone that has another. */

/** Makes 16-bit samples of what a microphone gives, in pieces of one length. */
export class PcmEncoder {
  private readonly step: number;
  private piece: Int16Array<ArrayBuffer>;
  private filled = 0;
  private sum = 0;
  /** How much of the next sample has been summed up, in samples of the input. */
  private share = 0;

  /**
   * @param fromHz rate of the input, which is not below `toHz`
   * @param toHz rate of the output
   * @param samples length of a piece
   */
  constructor(
    fromHz: number,
    toHz: number,
    private readonly samples: number,
  ) {
    this.step = fromHz / toHz;
    this.piece = new Int16Array(samples);
  }

  /** Take samples of -1..1; call `emit` with each piece that is full. */
  encode(input: Float32Array, emit: (piece: Int16Array<ArrayBuffer>) => void): void {
    for (const sample of input) {
      let rest = 1;
      // The mean of all that falls into one sample of the output.
      while (this.share + rest >= this.step) {
        const part = this.step - this.share;
        this.push((this.sum + sample * part) / this.step, emit);
        rest -= part;
        this.sum = 0;
        this.share = 0;
      }
      this.sum += sample * rest;
      this.share += rest;
    }
  }

  private push(sample: number, emit: (piece: Int16Array<ArrayBuffer>) => void): void {
    this.piece[this.filled] = Math.max(-1, Math.min(1, sample)) * 0x7fff;
    this.filled += 1;
    if (this.filled < this.samples) return;
    const full = this.piece;
    this.piece = new Int16Array(this.samples);
    this.filled = 0;
    emit(full);
  }
}

/** Turn 16-bit samples into such of -1..1. */
export function decodePcm(pcm: Int16Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(pcm, (sample) => sample / 0x8000);
}
