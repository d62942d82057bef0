/** Plays sound that comes in pieces, one behind the other without a gap, into a track. */

export class Speaker {
  /** Sound of the same rate is played as it is; other sound is made to fit, piece by piece. */
  readonly context: AudioContext;
  private readonly bot: MediaStreamAudioDestinationNode;
  private readonly playing = new Set<AudioBufferSourceNode>();
  /** When the last of what has come will have sounded, on the context's clock. */
  private until = 0;
  private closed = false;

  /**
   * @param rateHz of the sound
   * @param leadSecs so much later than it could be is the first piece played: the others may come
   *   so late
   */
  constructor(
    rateHz: number,
    private readonly leadSecs: number,
  ) {
    this.context = new AudioContext({ sampleRate: rateHz });
    this.bot = this.context.createMediaStreamDestination();
  }

  /** What is played, silence between included. */
  get track(): MediaStreamTrack | null {
    return this.bot.stream.getAudioTracks()[0] ?? null;
  }

  /** Play samples of -1..1 after all that has come before. */
  play(samples: Float32Array<ArrayBuffer>, rateHz: number): void {
    if (this.closed || samples.length === 0) return;
    const { context } = this;
    const buffer = context.createBuffer(1, samples.length, rateHz);
    buffer.copyToChannel(samples, 0);
    const node = new AudioBufferSourceNode(context, { buffer });
    node.connect(this.bot);
    node.addEventListener("ended", () => this.playing.delete(node));
    const now = context.currentTime;
    const from = this.until > now ? this.until : now + this.leadSecs;
    node.start(from);
    this.until = from + buffer.duration;
    this.playing.add(node);
  }

  /** Drop what has not sounded yet. */
  interrupt(): void {
    this.playing.forEach((node) => node.stop());
    this.playing.clear();
    this.until = 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.interrupt();
    void this.context.close();
  }
}
