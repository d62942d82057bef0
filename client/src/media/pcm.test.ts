import { describe, expect, it } from "vitest";
import { PcmEncoder, decodePcm } from "./pcm";

function encode(fromHz: number, inputs: Float32Array[], samples = 4): number[][] {
  const encoder = new PcmEncoder(fromHz, 16_000, samples);
  const pieces: number[][] = [];
  for (const input of inputs) encoder.encode(input, (piece) => pieces.push([...piece]));
  return pieces;
}

/** How strong a tone is after it was encoded, 0..1. */
function strength(toneHz: number, fromHz: number): number {
  const tone = Float32Array.from({ length: fromHz / 10 }, (_, i) =>
    Math.sin((2 * Math.PI * toneHz * i) / fromHz),
  );
  const [piece = []] = encode(fromHz, [tone], 1500);
  const power = piece.reduce((sum, sample) => sum + (sample / 0x7fff) ** 2, 0) / piece.length;
  return Math.sqrt(power * 2);
}

describe("PcmEncoder", () => {
  it("makes 16-bit samples in pieces of one length", () => {
    const input = Float32Array.of(0, 0.5, -0.5, 1, -1, 2, -2, 0, 1);
    expect(encode(16_000, [input])).toEqual([
      [0, 16_383, -16_383, 32_767],
      [-32_767, 32_767, -32_767, 0],
    ]);
  });

  it("carries what is left over from one block to the next", () => {
    const blocks = [Float32Array.of(0.5, 0.5, 0.5), Float32Array.of(0.5, 0.5)];
    expect(encode(16_000, blocks)).toEqual([[16_383, 16_383, 16_383, 16_383]]);
  });

  it("takes means of a faster input", () => {
    const input = Float32Array.of(0, 0.5, 1, 1, 1, 1, -1, 0, 1, 0.5, 0.5, 0.5);
    expect(encode(48_000, [input])).toEqual([[16_383, 32_767, 0, 16_383]]);
  });

  it.each([16_000, 44_100, 48_000])("keeps time and pitch from %i Hz", (fromHz) => {
    const second = Float32Array.from({ length: fromHz }, () => 0.25);
    const pieces = encode(fromHz, [second], 160);
    expect(pieces.length).toBeGreaterThanOrEqual(99);
    expect(pieces.length).toBeLessThanOrEqual(100);
    expect(strength(440, fromHz)).toBeCloseTo(1, 1);
  });

  it("weakens what would come back as another tone", () => {
    expect(strength(16_100, 48_000)).toBeLessThan(0.05);
  });
});

describe("decodePcm", () => {
  it("makes samples of -1 to 1", () => {
    expect([...decodePcm(Int16Array.of(0, 16_384, -32_768))]).toEqual([0, 0.5, -1]);
  });
});
