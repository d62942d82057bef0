/** How well the connection carries a voice, from what WebRTC measures of it. */

/** Counters and clocks of a connection, as they stand at one moment. */
export interface LineStats {
  /** Packets of either direction that were sent, so far. */
  sent: number;
  /** Those of them that never arrived, so far. */
  lost: number;
  roundTripMs: number | null;
  /** How much packets of the bot's voice differ in how long they take. */
  jitterMs: number | null;
}

export type QualityLevel = "good" | "fair" | "poor";

export interface Quality {
  level: QualityLevel;
  roundTripMs: number | null;
  jitterMs: number | null;
  /** Packets lost of a hundred, since the last look. */
  lossPercent: number;
}

/**
 * Where a conversation suffers: a round trip of twice the one-way delay that ITU-T G.114 has as
 * fine and as the limit; loss that Opus hides, and that it does not.
 */
const BOUNDS = {
  roundTripMs: { fair: 300, poor: 800 },
  lossPercent: { fair: 3, poor: 10 },
  jitterMs: { fair: 30, poor: 100 },
};

type Stat = Partial<Record<string, unknown>>;

function numberOf(stat: Stat | undefined, name: string): number | null {
  const value = stat?.[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function ms(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(seconds * 1000);
}

/** Read what a peer connection's `getStats()` says. */
export function readStats(report: Iterable<[string, unknown]>): LineStats {
  const stats = new Map<string, Stat>();
  for (const [id, stat] of report) stats.set(id, stat as Stat);
  const all = [...stats.values()];
  const ofAudio = (type: string): Stat | undefined =>
    all.find((stat) => stat.type === type && stat.kind === "audio");
  const incoming = ofAudio("inbound-rtp");
  const outgoing = ofAudio("outbound-rtp");
  const arrived = ofAudio("remote-inbound-rtp");
  const transport = all.find((stat) => stat.type === "transport");
  const pair = stats.get(String(transport?.selectedCandidatePairId));
  const lostIn = numberOf(incoming, "packetsLost") ?? 0;
  return {
    sent:
      (numberOf(incoming, "packetsReceived") ?? 0) +
      lostIn +
      (numberOf(outgoing, "packetsSent") ?? 0),
    lost: lostIn + (numberOf(arrived, "packetsLost") ?? 0),
    roundTripMs: ms(numberOf(pair, "currentRoundTripTime")),
    jitterMs: ms(numberOf(incoming, "jitter")),
  };
}

/** Judge a connection by two looks at it. */
export function judge(before: LineStats, now: LineStats): Quality {
  const sent = now.sent - before.sent;
  const lost = Math.max(0, now.lost - before.lost);
  const { roundTripMs, jitterMs } = now;
  const lossPercent = sent > 0 ? Math.min(100, Math.round((100 * lost) / sent)) : 0;
  const measured = { roundTripMs, jitterMs, lossPercent };
  const isAbove = (bound: "fair" | "poor"): boolean =>
    (Object.keys(BOUNDS) as (keyof typeof BOUNDS)[]).some(
      (name) => (measured[name] ?? 0) >= BOUNDS[name][bound],
    );
  return { level: isAbove("poor") ? "poor" : isAbove("fair") ? "fair" : "good", ...measured };
}
