/** Lines over the last hour. */
import type { Minute, Overview } from "./messages";

export const MINUTES = 60;
const MINUTE_MS = 60_000;
const HEADROOM = 1.1;

/** The minutes of the last hour, oldest first; null for those in which nothing was measured. */
export function slotsOf({ at, minutes }: Pick<Overview, "at" | "minutes">): (Minute | null)[] {
  const now = Math.floor(Date.parse(at) / MINUTE_MS);
  const slots: (Minute | null)[] = Array.from({ length: MINUTES }, () => null);
  for (const minute of minutes) {
    const index = MINUTES - 1 - (now - Math.floor(Date.parse(minute.at) / MINUTE_MS));
    if (index >= 0 && index < MINUTES) slots[index] = minute;
  }
  return slots;
}

/** A round number above all values, and never 0. */
export function topOf(values: (number | null)[]): number {
  const most = Math.max(1, ...values.filter((value) => value !== null)) * HEADROOM;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 2.5, 5].find((step) => step * power >= most) ?? 10) * power;
}

/**
 * A line for SVG, in a box of `values.length` by 1. It breaks where there is no value; one that
 * stands alone is a dot, drawn by its round ends.
 */
export function linePath(values: (number | null)[], top: number): string {
  const parts = values.map((value, i) => {
    if (value === null) return "";
    const goesOn = i > 0 && values[i - 1] !== null;
    const x = i + 0.5;
    const y = (1 - value / top).toFixed(4);
    return goesOn ? `L${x} ${y}` : `M${x} ${y}h0`;
  });
  return parts.join("");
}
