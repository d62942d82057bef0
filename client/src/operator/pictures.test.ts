import { describe, expect, it } from "vitest";
import { momentAt, place, shareAt, ticks } from "./axis";
import { MINUTES, linePath, slotsOf, topOf } from "./chart";
import { OVERVIEW } from "./fixtures";
import { fitted, momentOf, partAt, peaks, secsAt, slices, wavePath } from "./sound";
import type { Part } from "./sound";

const SPAN = { from: 1000, to: 11_000 };

describe("an axis of time", () => {
  it("has a place for every moment, and a moment for every place", () => {
    expect(shareAt(SPAN, 6000)).toBe(0.5);
    expect(momentAt(SPAN, 0.25)).toBe(3500);
    expect([shareAt(SPAN, 0), shareAt(SPAN, 99_000)]).toEqual([0, 1]);
    expect([momentAt(SPAN, -1), momentAt(SPAN, 2)]).toEqual([1000, 11_000]);
    expect(place(SPAN, 2000, 4000)).toEqual({ left: "10.0000%", width: "20.0000%" });
  });

  it.each([
    [10, 6, 2],
    [65, 6, 15],
    [65, 24, 5],
    [3600, 6, 600],
    [10 * 3600, 6, 7200],
  ])("of %d s is marked %d times at most, at round times", (secs, most, step) => {
    const marks = ticks({ from: 0, to: secs * 1000 }, most);
    expect(marks.slice(0, 2)).toEqual([0, step * 1000]);
    expect(marks.length).toBeLessThanOrEqual(most + 1);
  });
});

describe("a chart of the last hour", () => {
  it("has a place for each minute, empty where nothing was measured", () => {
    const slots = slotsOf(OVERVIEW);
    expect(slots).toHaveLength(MINUTES);
    expect(slots.at(-3)?.answers).toBe(6);
    expect(slots.at(-2)?.failures).toBe(2);
    expect(slots.filter((slot) => slot !== null)).toHaveLength(2);
  });

  it("leaves out what is older", () => {
    const later = new Date(Date.parse(OVERVIEW.at) + 58 * 60_000).toISOString();
    expect(slotsOf({ ...OVERVIEW, at: later }).filter((slot) => slot !== null)).toHaveLength(1);
  });

  it.each([
    [[null], 2],
    [[612, null, 1480], 2000],
    [[1900], 2500],
    [[95], 200],
  ])("goes up to a round number: %j", (values, top) => {
    expect(topOf(values)).toBe(top);
  });

  it("breaks its lines where there is nothing, and draws what stands alone as a dot", () => {
    expect(linePath([50, 100, null, 25], 100)).toBe("M0.5 0.5000h0L1.5 0.0000M3.5 0.7500h0");
  });
});

describe("the sound of a session", () => {
  const part = (from: number, to: number): Part => ({
    url: "",
    from,
    to,
    secs: (to - from) / 1000,
    loudness: null,
  });

  it("is cut into its calls", () => {
    const recorded = [
      { size: 10, until: "1970-01-01T00:00:05Z" },
      { size: 7, until: "1970-01-01T00:00:09Z" },
    ];
    expect(slices(recorded)).toEqual([
      { start: 0, end: 10, until: 5000 },
      { start: 10, end: 17, until: 9000 },
    ]);
  });

  it("goes on with the next call where there is none", () => {
    const parts = [part(0, 5000), part(8000, 9000)];
    expect([4000, 6000, 8500, 9000].map((at) => partAt(parts, at)?.from)).toEqual([
      0,
      8000,
      8000,
      undefined,
    ]);
  });

  it("that is longer than its call is heard within it", () => {
    const [first, second, third] = fitted(
      [part(0, 6000), part(7000, 9000), part(9500, 9900)],
      [2000, 6500, 9800],
    );
    expect([first?.from, second?.from, third?.from]).toEqual([2000, 7000, 9800]);
    if (!first) throw new Error("there is none");
    expect([2000, 4000, 6000].map((at) => secsAt(first, at))).toEqual([0, 3, 6]);
    expect([0, 3, 6].map((secs) => momentOf(first, secs))).toEqual([2000, 4000, 6000]);
    expect(secsAt(first, 0)).toBe(0);
  });

  it("is drawn by its loudest", () => {
    const samples = Float32Array.from([0, 0.5, -0.75, 0, 0.25, 0]);
    expect(peaks(samples, 3)).toEqual([0.5, 0.75, 0.25]);
    expect(wavePath([0.5, 0])).toBe("M0 1L0 0.500L1 1.000L1 1.000L0 1.500Z");
  });
});
