/** Places on a time axis, and the marks along it. */

export interface Span {
  from: number;
  to: number;
}

const STEPS_SECS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/** What share of a span lies before a moment, 0..1. */
export function shareAt(span: Span, at: number): number {
  return Math.min(1, Math.max(0, (at - span.from) / (span.to - span.from)));
}

/** The moment that so much of a span lies before. */
export function momentAt(span: Span, share: number): number {
  return span.from + Math.min(1, Math.max(0, share)) * (span.to - span.from);
}

/** Where something stands, for CSS. */
export function place(span: Span, from: number, to: number): { left: string; width: string } {
  const left = shareAt(span, from);
  return { left: percent(left), width: percent(shareAt(span, to) - left) };
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(4)}%`;
}

/** Round offsets from the beginning of a span, in ms, no more than `most`. */
export function ticks(span: Span, most: number): number[] {
  const secs = (span.to - span.from) / 1000;
  const step = STEPS_SECS.find((step) => secs / step <= most) ?? Math.ceil(secs / most / 3600) * 3600;
  return Array.from({ length: Math.floor(secs / step) + 1 }, (_, i) => i * step * 1000);
}
