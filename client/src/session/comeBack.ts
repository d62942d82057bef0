/** When a session whose connection was lost is come back to. */
import type { SessionErrorKind } from "./types";

const PAUSES_MS = [0, 1000, 2000, 4000, 8000];

/** How long a session waits for its client, where the service says nothing else. */
const GIVE_UP_MS = 300_000;

/** What may be otherwise at the next try. */
const PASSING: readonly SessionErrorKind[] = [
  "server-unreachable",
  "server-busy",
  "connection-failed",
  "connection-lost",
  "bot-silent",
  // Behind a lid that was shut, devices are found one after the other.
  "microphone-missing",
  "microphone-busy",
];

/**
 * How long to wait before a try.
 *
 * @param tries how many there were since the connection was lost
 * @param lostMs how long ago that was
 * @returns null where it is given up
 */
export function pauseMs(tries: number, lostMs: number): number | null {
  if (lostMs > GIVE_UP_MS) return null;
  return PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? null;
}

export function isPassing(kind: SessionErrorKind): boolean {
  return PASSING.includes(kind);
}
