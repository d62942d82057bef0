/**
 * How the grille shows what the bot is doing: pure functions from a hole, a time and the sound to
 * how far that hole is lit.
 */
import type { VoiceState } from "../session/types";

/** Holes in a row of the grille. Odd, so that there is one in the middle. */
export const COLUMNS = 25;
/** Bands of the bot's voice; each but the first is a bar on both sides of the middle. */
export const BANDS = (COLUMNS + 3) / 4;

export interface Hole {
  /** Column and row, and the same as -1..1 from the middle. */
  column: number;
  row: number;
  x: number;
  y: number;
  /** Distance from the middle, 0..1, and angle. */
  radius: number;
  angle: number;
}

export interface Sound {
  /** The microphone now, a value of -1..1 for each column. */
  wave: Float32Array;
  /** The bot's voice, 0..1 for each band from low to high. */
  bands: Float32Array;
}

export type Pattern = (hole: Hole, seconds: number, sound: Sound) => number;

/** The holes of a round grille, row by row. */
export function makeHoles(): Hole[] {
  const middle = (COLUMNS - 1) / 2;
  const holes: Hole[] = [];
  for (let row = 0; row < COLUMNS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      const x = (column - middle) / middle;
      const y = (row - middle) / middle;
      const radius = Math.hypot(x, y);
      if (radius <= 1.02) {
        holes.push({ column, row, x, y, radius, angle: Math.atan2(y, x) });
      }
    }
  }
  return holes;
}

const TURN = Math.PI * 2;

function bell(distance: number, width: number): number {
  return Math.exp(-((distance / width) ** 2));
}

function wrap(angle: number): number {
  return ((angle % TURN) + TURN) % TURN;
}

/** A hand that goes round and leaves a glow behind it. */
const sweep: Pattern = ({ radius, angle }, seconds) => {
  const behind = wrap(seconds * 2.1 - angle);
  return Math.exp(-behind * 1.25) * Math.min(1, radius * 2.4) * (1 - 0.25 * radius);
};

/** Rings that run inwards. */
const gather: Pattern = ({ radius }, seconds) => {
  const phase = (radius + seconds * 0.55) % 0.5;
  return bell(phase - 0.25, 0.1) * (0.35 + 0.5 * (1 - radius));
};

/** A ring that breathes. */
const breathe: Pattern = ({ radius }, seconds) => {
  const breath = Math.sin(seconds * 1.5);
  const ring = bell(radius - (0.63 + 0.09 * breath), 0.15);
  return ring * (0.66 + 0.2 * breath) + 0.12 * bell(radius, 0.3);
};

/** The microphone as a line from left to right. */
const oscilloscope: Pattern = ({ x, y, column }, _seconds, { wave }) => {
  const scale = Math.sqrt(Math.max(0, 1 - x * x)) * 0.85;
  const height = (wave[column] ?? 0) * scale;
  // Steep parts reach half-way to the next column, so that the line does not break.
  const before = (height + (wave[column - 1] ?? 0) * scale) / 2;
  const after = (height + (wave[column + 1] ?? 0) * scale) / 2;
  const above = y - Math.max(height, before, after);
  const below = Math.min(height, before, after) - y;
  return bell(Math.max(0, above, below), 0.075) * Math.min(1, 0.5 + Math.abs(height) * 3);
};

/** Three lights that circle one another. */
const orbit: Pattern = ({ x, y }, seconds) => {
  let light = 0;
  for (let body = 0; body < 3; body += 1) {
    const angle = seconds * 1.9 + (body * TURN) / 3;
    const reach = 0.52 + 0.1 * Math.sin(seconds * 1.1 + body * 2);
    light += bell(Math.hypot(x - Math.cos(angle) * reach, y - Math.sin(angle) * reach), 0.17);
  }
  return Math.min(1, light);
};

/** The bot's voice as bars with a gap between, low tones in the middle. */
const bars: Pattern = ({ x, y, column }, _seconds, { bands }) => {
  const fromMiddle = Math.abs(column - (COLUMNS - 1) / 2);
  if (fromMiddle % 2 === 1) return 0;
  const loudness = (bands[fromMiddle / 2] ?? 0) ** 1.5;
  const reach = 0.04 + loudness * Math.sqrt(Math.max(0, 1.05 - x * x));
  return Math.min(1, Math.max(0, (reach - Math.abs(y)) / 0.1 + 0.5));
};

/** The grille at rest on the home page: a slow swell from one corner to the other. */
export const rest: Pattern = ({ x, y, radius }, seconds) =>
  (0.24 + 0.2 * Math.sin(seconds * 0.7 + x * 2.2 + y * 1.4)) * (1 - 0.45 * radius);

/** The light draws back, and hardly shines. */
const leave: Pattern = ({ radius }, seconds) =>
  bell(radius, 0.4) * (0.35 + 0.15 * Math.sin(seconds * 3));

const dark: Pattern = () => 0;

export const PATTERNS: Record<VoiceState, Pattern> = {
  connecting: sweep,
  initializing: gather,
  listening: breathe,
  processing: oscilloscope,
  thinking: orbit,
  speaking: bars,
  disconnecting: leave,
  disconnected: dark,
};

/** Whose turn a state is: it sets the colour. */
export type Tint = "you" | "agent" | "neutral";

export const TINTS: Record<VoiceState, Tint> = {
  connecting: "neutral",
  initializing: "neutral",
  listening: "you",
  processing: "you",
  thinking: "agent",
  speaking: "agent",
  disconnecting: "neutral",
  disconnected: "neutral",
};

/**
 * Draw a wave of many samples as one value for each column.
 *
 * It starts where the wave crosses zero upwards, so that a steady tone stands still, is scaled up
 * so that quiet speech shows, too, and goes on from what `out` holds, so that it does not flicker.
 */
export function waveColumns(samples: Float32Array, out: Float32Array): void {
  const span = Math.floor(samples.length / 2);
  let start = 0;
  while (start < span && !((samples[start] ?? 0) <= 0 && (samples[start + 1] ?? 0) > 0)) start += 1;
  if (start === span) start = 0;
  const step = span / out.length;
  for (let column = 0; column < out.length; column += 1) {
    const value = samples[start + Math.floor(column * step)] ?? 0;
    out[column] = 0.4 * (out[column] ?? 0) + 0.6 * Math.tanh(value * 7);
  }
}
