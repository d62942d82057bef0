import { describe, expect, it } from "vitest";
import { judge, readStats } from "./quality";
import type { LineStats } from "./quality";

const REPORT = new Map<string, unknown>([
  ["T1", { type: "transport", selectedCandidatePairId: "P2" }],
  ["P1", { type: "candidate-pair", currentRoundTripTime: 9 }],
  ["P2", { type: "candidate-pair", currentRoundTripTime: 0.042 }],
  ["I", { type: "inbound-rtp", kind: "audio", packetsReceived: 90, packetsLost: 10, jitter: 0.004 }],
  ["V", { type: "inbound-rtp", kind: "video", packetsReceived: 1, packetsLost: 1, jitter: 1 }],
  ["O", { type: "outbound-rtp", kind: "audio", packetsSent: 200 }],
  ["R", { type: "remote-inbound-rtp", kind: "audio", packetsLost: 2 }],
]);

const FINE: LineStats = { sent: 1000, lost: 5, roundTripMs: 20, jitterMs: 2 };

describe("what a connection tells of itself", () => {
  it("is read of the way that is taken, and of sound alone, in both directions", () => {
    expect(readStats(REPORT)).toEqual({ sent: 300, lost: 12, roundTripMs: 42, jitterMs: 4 });
  });

  it("may be nothing", () => {
    expect(readStats(new Map())).toEqual({ sent: 0, lost: 0, roundTripMs: null, jitterMs: null });
  });
});

describe("the quality", () => {
  it("counts what was lost since the last look", () => {
    const quality = judge(FINE, { ...FINE, sent: 1100, lost: 9 });
    expect(quality).toEqual({ level: "fair", roundTripMs: 20, jitterMs: 2, lossPercent: 4 });
  });

  it.each([
    ["good", {}],
    ["good", { roundTripMs: null, jitterMs: null }],
    ["fair", { roundTripMs: 300 }],
    ["poor", { roundTripMs: 800 }],
    ["fair", { jitterMs: 30 }],
    ["poor", { jitterMs: 100, roundTripMs: 300 }],
    ["poor", { lost: 15 }],
  ] as const)("is %s with %o", (level, change) => {
    expect(judge(FINE, { ...FINE, sent: 1100, ...change }).level).toBe(level);
  });

  it("is good where nothing was sent, and where late packets make the loss shrink", () => {
    expect(judge(FINE, FINE).level).toBe("good");
    expect(judge(FINE, { ...FINE, sent: 1050, lost: 3 }).lossPercent).toBe(0);
  });
});
