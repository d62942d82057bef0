import { describe, expect, it, vi } from "vitest";
import { Mp3Cutter, Mp3Decoder } from "./mp3";

/** MPEG 2, layer III, 128 kbit/s at 24 kHz, as the service writes it: 384 bytes for 24 ms. */
const HEADER = [0xff, 0xf3, 0xc4, 0xc4];
const FRAME_BYTES = 384;
const FRAME_SAMPLES = 576;

function speech(frames: number): Uint8Array {
  const bytes = new Uint8Array(frames * FRAME_BYTES);
  for (let i = 0; i < frames; i += 1) {
    bytes.set(HEADER, i * FRAME_BYTES);
    // What the fake decoder takes for the sound of the frame.
    bytes[i * FRAME_BYTES + 4] = i + 1;
  }
  return bytes;
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

describe("Mp3Cutter", () => {
  it("gives each frame once, wherever the pieces are cut", () => {
    for (const size of [1, 100, 383, 384, 1000, 4096]) {
      const cutter = new Mp3Cutter();
      const frames = pieces(speech(12), size).flatMap((piece) => cutter.cut(piece));
      expect(frames.map(({ bytes }) => bytes[4])).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      expect(frames.every(({ bytes }) => bytes.length === FRAME_BYTES)).toBe(true);
      expect(frames[0]).toMatchObject({ rateHz: 24_000, samples: FRAME_SAMPLES });
    }
  });

  it("reads MPEG 1, with the byte that pads a frame", () => {
    // 128 kbit/s at 44.1 kHz.
    const frame = new Uint8Array(418);
    frame.set([0xff, 0xfb, 0x92, 0xc4]);
    expect(new Mp3Cutter().cut(frame)).toMatchObject([{ rateHz: 44_100, samples: 1152 }]);
  });

  it("leaves out what is no frame", () => {
    const frames = new Mp3Cutter().cut(Uint8Array.of(0xff, 0xff, 1, 2, ...speech(1)));
    expect(frames).toHaveLength(1);
  });
});

describe("Mp3Decoder", () => {
  /** Decodes as a browser that leaves out a file's first frame, and has no sound of the next two. */
  function lossy(file: ArrayBuffer): Promise<AudioBuffer> {
    const frames = new Mp3Cutter().cut(new Uint8Array(file)).slice(1);
    const sound = frames.map(({ bytes }, i) => (i < 2 ? 0 : (bytes[4] ?? 0)));
    const samples = sound.flatMap((sample) => Array<number>(FRAME_SAMPLES).fill(sample));
    return Promise.resolve({
      length: samples.length,
      sampleRate: 24_000,
      getChannelData: () => Float32Array.from(samples),
    } as unknown as AudioBuffer);
  }

  it("gives the sound of each frame once, with frames before it that it needs", async () => {
    const decode = vi.fn(lossy);
    const decoder = new Mp3Decoder(decode);
    const heard: number[] = [];
    for (const piece of pieces(speech(30), 4096)) {
      const { samples, rateHz } = await decoder.decode(piece);
      expect(rateHz).toBe(24_000);
      heard.push(...samples);
    }
    // Only the first ones of all have none before them.
    const expected = [0, 0, ...Array.from({ length: 27 }, (_, i) => i + 4)];
    expect(heard.filter((_, i) => i % FRAME_SAMPLES === 0)).toEqual(expected);
    expect(heard).toHaveLength(29 * FRAME_SAMPLES);
    const longest = Math.max(...decode.mock.calls.map(([file]) => file.byteLength));
    expect(longest).toBeLessThan(2 * 4096);
  });

  it("waits for a frame that is not whole", async () => {
    const decode = vi.fn(lossy);
    const decoder = new Mp3Decoder(decode);
    expect((await decoder.decode(speech(1).subarray(0, 100))).samples).toHaveLength(0);
    expect(decode).not.toHaveBeenCalled();
  });
});
