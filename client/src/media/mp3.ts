/** MP3 that comes in pieces cut anywhere, made into samples without a gap between them. */

/** A frame of an MP3, of layer III: what can be read by itself, but for a few frames before it. */
export interface Mp3Frame {
  bytes: Uint8Array<ArrayBuffer>;
  rateHz: number;
  /** How much sound it holds. */
  samples: number;
}

const HEADER_BYTES = 4;
/** Rates of MPEG 1; those of MPEG 2 are half, of MPEG 2.5 a quarter of that. */
const RATES_HZ = [44_100, 48_000, 32_000] as const;
/** By the header's version: 2.5, none, 2, 1. */
const RATE_SHARES = [0.25, null, 0.5, 1] as const;
const MPEG_1_KBITS = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320] as const;
const MPEG_2_KBITS = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160] as const;

/** What the header at the beginning of `data` says; null where there is none. */
function readHeader(data: Uint8Array): (Omit<Mp3Frame, "bytes"> & { length: number }) | null {
  const [first = 0, second = 0, third = 0] = data;
  // Eleven bits to know it by, then version and layer III.
  if (first !== 0xff || (second & 0xe6) !== 0xe2) return null;
  const share = RATE_SHARES[(second >> 3) & 3];
  const isMpeg1 = share === 1;
  const kbits = (isMpeg1 ? MPEG_1_KBITS : MPEG_2_KBITS)[(third >> 4) - 1];
  const rate = RATES_HZ[(third >> 2) & 3];
  if (!share || kbits === undefined || rate === undefined) return null;
  const rateHz = rate * share;
  const samples = isMpeg1 ? 1152 : 576;
  const length = Math.floor((samples / 8) * ((kbits * 1000) / rateHz)) + ((third >> 1) & 1);
  return { rateHz, samples, length };
}

/** Cuts what comes into whole frames. */
export class Mp3Cutter {
  private rest = new Uint8Array();

  /** Take the next piece; return the frames that are whole with it. */
  cut(piece: Uint8Array): Mp3Frame[] {
    const data = new Uint8Array(this.rest.length + piece.length);
    data.set(this.rest);
    data.set(piece, this.rest.length);
    const frames: Mp3Frame[] = [];
    let at = 0;
    while (at + HEADER_BYTES <= data.length) {
      const header = readHeader(data.subarray(at));
      if (!header) {
        at += 1;
        continue;
      }
      const { length, ...frame } = header;
      if (at + length > data.length) break;
      frames.push({ ...frame, bytes: data.slice(at, at + length) });
      at += length;
    }
    this.rest = data.slice(at);
    return frames;
  }
}

/** A browser's decoder of whole files. */
export type DecodeFile = (file: ArrayBuffer) => Promise<AudioBuffer>;

/**
 * Frames that are decoded a second time in front of new ones, whose sound needs bits of two or
 * three frames before and goes over into that of the one before.
 */
const FRAMES_BEFORE = 6;

/** Decodes a speech, piece by piece. */
export class Mp3Decoder {
  private cutter = new Mp3Cutter();
  private before: Mp3Frame[] = [];

  constructor(private readonly decodeFile: DecodeFile) {}

  /** Return the sound of the frames that are whole with a piece; none if there are none. */
  async decode(piece: Uint8Array): Promise<{ samples: Float32Array<ArrayBuffer>; rateHz: number }> {
    const frames = this.cutter.cut(piece);
    const file = [...this.before, ...frames];
    this.before = file.slice(-FRAMES_BEFORE);
    const [first] = frames;
    if (!first) return { samples: new Float32Array(), rateHz: 0 };
    const buffer = await this.decodeFile(await new Blob(file.map(({ bytes }) => bytes)).arrayBuffer());
    // Some decoders leave out the beginning, so that the end is what is certain.
    const wanted = Math.round((frames.length * first.samples * buffer.sampleRate) / first.rateHz);
    return {
      samples: buffer.getChannelData(0).slice(Math.max(0, buffer.length - wanted)),
      rateHz: buffer.sampleRate,
    };
  }
}
