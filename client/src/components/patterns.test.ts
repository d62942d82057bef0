import { describe, expect, it } from "vitest";
import { VOICE_STATES } from "../session/types";
import { BANDS, COLUMNS, PATTERNS, makeHoles, waveColumns } from "./patterns";
import type { Sound } from "./patterns";

const HOLES = makeHoles();

function sound(level = 0): Sound {
  return {
    wave: new Float32Array(COLUMNS).fill(level),
    bands: new Float32Array(BANDS).fill(level),
  };
}

function picture(state: (typeof VOICE_STATES)[number], seconds: number, level = 0): number[] {
  return HOLES.map((hole) => PATTERNS[state](hole, seconds, sound(level)));
}

function lit(values: number[]): number {
  return values.filter((value) => value > 0.5).length;
}

describe("the grille", () => {
  it("is round, and the same on every side", () => {
    expect(HOLES.length).toBeGreaterThan(400);
    expect(HOLES.every((hole) => hole.radius <= 1.02)).toBe(true);
    expect(HOLES.reduce((sum, hole) => sum + hole.x, 0)).toBeCloseTo(0);
  });

  it.each(VOICE_STATES)("lights each hole between not at all and fully: %s", (state) => {
    for (const level of [0, 0.5, 1]) {
      for (const value of picture(state, 1.3, level)) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }
    }
  });

  it("shows a different picture in each state of a call", () => {
    const states = [
      "connecting",
      "initializing",
      "listening",
      "processing",
      "thinking",
      "speaking",
      "disconnecting",
    ];
    const pictures = states.map((state) => picture(state as "listening", 1, 0.6).join());
    expect(new Set(pictures).size).toBe(states.length);
  });

  it.each(["connecting", "initializing", "listening", "thinking", "disconnecting"] as const)(
    "moves: %s",
    (state) => {
      expect(picture(state, 1)).not.toEqual(picture(state, 1.4));
    },
  );

  it("raises its bars with the bot's voice", () => {
    expect(lit(picture("speaking", 0, 0.8))).toBeGreaterThan(3 * lit(picture("speaking", 0, 0.1)));
  });

  it("draws a flat line for silence and moves it with the microphone", () => {
    const row = (values: number[]) =>
      new Set(HOLES.filter((_, i) => (values[i] ?? 0) > 0.4).map((hole) => hole.row));
    expect([...row(picture("processing", 0, 0))]).toEqual([12]);
    expect([...row(picture("processing", 0, 0.5))].some((line) => line > 15)).toBe(true);
  });
});

describe("a wave", () => {
  it("stands still for a steady tone, wherever the samples begin", () => {
    const tone = (shift: number) =>
      Float32Array.from({ length: 1024 }, (_, i) => 0.3 * Math.sin((i + shift) / 30));
    const [a, b] = [new Float32Array(COLUMNS), new Float32Array(COLUMNS)];
    waveColumns(tone(0), a);
    waveColumns(tone(77), b);
    a.forEach((value, i) => expect(Math.abs(value - (b[i] ?? 0))).toBeLessThan(0.1));
  });
});
