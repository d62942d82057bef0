import type { Quality } from "../session/quality";

const WORDS = { good: "Good connection", fair: "Weak connection", poor: "Bad connection" };
const BARS = { good: 3, fair: 2, poor: 1 };

/** Three bars, of which as many are filled as the connection is good. */
export function ConnectionSign({ quality }: { quality: Quality | null }) {
  if (!quality) return null;
  const { level } = quality;
  return (
    <span
      className="connection"
      data-level={level}
      role="img"
      aria-label={WORDS[level]}
      title={`${WORDS[level]}: ${describe(quality)}`}
    >
      {[1, 2, 3].map((bar) => (
        <span key={bar} className="connection__bar" data-filled={bar <= BARS[level]} />
      ))}
    </span>
  );
}

/** `round trip 42 ms, 0 % lost, jitter 3 ms` */
export function describe({ roundTripMs, lossPercent, jitterMs }: Quality): string {
  return [
    ...(roundTripMs === null ? [] : [`round trip ${roundTripMs} ms`]),
    `${lossPercent} % lost`,
    ...(jitterMs === null ? [] : [`jitter ${jitterMs} ms`]),
  ].join(", ");
}
