/** The sound of a session: what there is of it when, and how loud. */
import type { RecordedCall } from "./messages";

/** One call's sound. A client that comes back makes another. */
export interface Part {
  url: string;
  from: number;
  to: number;
  /** How long it plays. */
  secs: number;
  /** How loud each side is, 0..1, from one end to the other; null where that was not looked at. */
  loudness: { user: number[]; bot: number[] } | null;
}

/** Where each call's sound lies in the recording of the whole. */
export function slices(recorded: RecordedCall[]): { start: number; end: number; until: number }[] {
  let start = 0;
  return recorded.map(({ size, until }) => {
    const slice = { start, end: start + size, until: Date.parse(until) };
    start += size;
    return slice;
  });
}

/**
 * Begin no part before the user came. On a machine that is late, silence is recorded in the place
 * of sound that is yet to come, and then that as well: such a recording is longer than its call.
 *
 * @param joined When the user came, each time.
 */
export function fitted(parts: Part[], joined: number[]): Part[] {
  return parts.map((part, i) => {
    const after = parts[i - 1]?.to ?? 0;
    const came = joined.find((at) => at >= after && at < part.to);
    return came === undefined || came <= part.from ? part : { ...part, from: came };
  });
}

/** What is to be played of a part at a moment, in seconds of its own. */
export function secsAt(part: Part, at: number): number {
  return (Math.max(0, at - part.from) / (part.to - part.from)) * part.secs;
}

/** When so many seconds of a part are heard. */
export function momentOf(part: Part, secs: number): number {
  return part.from + (secs / part.secs) * (part.to - part.from);
}

/** The part that sounds at a moment, else the next one; undefined after the last. */
export function partAt(parts: Part[], at: number): Part | undefined {
  return parts.find((part) => at < part.to);
}

/** The loudest of each of so many stretches. */
export function peaks(samples: Float32Array, count: number): number[] {
  const length = samples.length / count;
  return Array.from({ length: count }, (_, i) => {
    let most = 0;
    const end = Math.min(samples.length, Math.ceil((i + 1) * length));
    for (let at = Math.floor(i * length); at < end; at++) {
      most = Math.max(most, Math.abs(samples[at] ?? 0));
    }
    return most;
  });
}

/** A waveform about the middle of a box that is `loudness.length` wide and 2 high, for SVG. */
export function wavePath(loudness: number[]): string {
  const above = loudness.map((it, i) => `L${i} ${(1 - it).toFixed(3)}`);
  const below = loudness.map((it, i) => `L${i} ${(1 + it).toFixed(3)}`).reverse();
  return `M0 1${above.join("")}${below.join("")}Z`;
}
