/** The face of the agent: a loudspeaker's grille whose holes light up with what is going on. */
import { useEffect, useRef } from "react";
import { analyseTrack } from "../media/analyser";
import type { TrackAnalyser } from "../media/analyser";
import type { VoiceState } from "../session/types";
import { BANDS, COLUMNS, PATTERNS, TINTS, makeHoles, rest, waveColumns } from "./patterns";
import type { Pattern, Sound, Tint } from "./patterns";

export interface GrilleProps {
  /** Null for the grille at rest. */
  state: VoiceState | null;
  muted?: boolean;
  micTrack?: MediaStreamTrack | null;
  botTrack?: MediaStreamTrack | null;
}

type Rgb = [number, number, number];

const HOLES = makeHoles();
/** Holes are drawn in batches of about the same brightness. */
const SHADES = 14;
const FRAME_MS = 1000 / 40;
/** With reduced motion only the sound still moves, and slowly. */
const CALM_FRAME_MS = 250;
/** The moment at which each pattern looks well when it stands still. */
const CALM_SECONDS = 1.05;
/** How long a hole takes to follow, in ms: sound is quick, everything else is calm. */
const SLOW_MS = 110;
const FOLLOW_MS: Partial<Record<VoiceState, number>> = { processing: 22, speaking: 50 };
/** How long one state fades into the next before it follows the sound at full speed, in ms. */
const FADE_MS = 350;

function readColor(style: CSSStyleDeclaration, name: string): Rgb {
  const hex = style.getPropertyValue(name).trim().replace("#", "");
  const value = Number.parseInt(hex || "808080", 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  return from.map((value, i) => value + ((to[i] ?? value) - value) * share) as Rgb;
}

/** Draws until it is stopped; eases every hole and the colour from one state to the next. */
class GrillePainter {
  private pattern: Pattern = rest;
  private tint: Tint = "neutral";
  private strength = 1;
  private followMs = SLOW_MS;
  private changedAt = 0;
  private readonly levels = new Float32Array(HOLES.length);
  private readonly samples = new Float32Array(1024);
  private readonly sound: Sound = {
    wave: new Float32Array(COLUMNS),
    bands: new Float32Array(BANDS),
  };
  private color: Rgb | null = null;
  private colors: Record<Tint | "hole", Rgb>;
  private frame = 0;
  private last = 0;
  private readonly motion = window.matchMedia("(prefers-reduced-motion: reduce)");
  private readonly scheme = window.matchMedia("(prefers-color-scheme: dark)");
  mic: TrackAnalyser | null = null;
  bot: TrackAnalyser | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly context: CanvasRenderingContext2D,
  ) {
    this.colors = this.readColors();
    this.scheme.addEventListener("change", this.onScheme);
    this.frame = requestAnimationFrame(this.tick);
  }

  show(state: VoiceState | null, muted: boolean): void {
    this.pattern = state === null ? rest : PATTERNS[state];
    this.tint = state === null ? "agent" : TINTS[state];
    const silenced = muted && this.tint === "you";
    if (silenced) this.tint = "neutral";
    this.strength = silenced ? 0.35 : 1;
    this.followMs = (state && FOLLOW_MS[state]) ?? SLOW_MS;
    this.changedAt = performance.now();
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.scheme.removeEventListener("change", this.onScheme);
  }

  private readonly onScheme = (): void => {
    this.colors = this.readColors();
  };

  private readColors(): Record<Tint | "hole", Rgb> {
    const style = getComputedStyle(this.canvas);
    return {
      hole: readColor(style, "--grille-hole"),
      you: readColor(style, "--grille-you"),
      agent: readColor(style, "--grille-agent"),
      neutral: readColor(style, "--grille-neutral"),
    };
  }

  private readonly tick = (now: number): void => {
    this.frame = requestAnimationFrame(this.tick);
    const calm = this.motion.matches;
    const elapsed = now - this.last;
    if (elapsed < (calm ? CALM_FRAME_MS : FRAME_MS) - 2) return;
    this.last = now;
    this.listen(calm);
    if (calm) {
      this.paint(CALM_SECONDS, 1, 1);
      return;
    }
    const settled = Math.min(1, Math.max(0, (now - this.changedAt) / FADE_MS));
    const follow = SLOW_MS + (this.followMs - SLOW_MS) * settled;
    this.paint(now / 1000, 1 - Math.exp(-elapsed / follow), 1 - Math.exp(-elapsed / SLOW_MS));
  };

  private listen(calm: boolean): void {
    const { wave, bands } = this.sound;
    if (this.mic) {
      this.mic.waveform(this.samples);
      waveColumns(this.samples, wave);
    } else {
      wave.fill(0);
    }
    if (this.bot) this.bot.bands(bands);
    else bands.fill(0);
    if (!calm) return;
    // One even, slowly changing height in place of a jumping picture.
    wave.fill(Math.max(...wave.map(Math.abs)) * 0.5);
    bands.fill(bands.reduce((sum, value) => sum + value, 0) / bands.length);
  }

  private paint(seconds: number, ease: number, colorEase: number): void {
    const { context, levels } = this;
    const side = this.fit();
    const pitch = side / (COLUMNS + 1);
    const target = this.colors[this.tint];
    this.color = this.color ? mix(this.color, target, colorEase) : target;
    context.clearRect(0, 0, side, side);

    const batches = Array.from({ length: SHADES }, () => new Path2D());
    HOLES.forEach((hole, i) => {
      const goal = this.pattern(hole, seconds, this.sound) * this.strength;
      const level = (levels[i] ?? 0) + (goal - (levels[i] ?? 0)) * ease;
      levels[i] = level;
      const shade = Math.min(SHADES - 1, Math.max(0, Math.round(level * (SHADES - 1))));
      const size = pitch * (0.17 + 0.29 * Math.min(1, level));
      const x = pitch * (hole.column + 1);
      const y = pitch * (hole.row + 1);
      batches[shade]?.moveTo(x + size, y);
      batches[shade]?.arc(x, y, size, 0, Math.PI * 2);
    });
    batches.forEach((batch, shade) => {
      const share = shade / (SHADES - 1);
      const [r, g, b] = mix(this.colors.hole, this.color ?? target, Math.min(1, share * 1.6));
      context.fillStyle = `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)})`;
      context.fill(batch);
    });
  }

  /** Match the canvas to its place and the screen's pixels; returns its side in pixels. */
  private fit(): number {
    const side = Math.round(this.canvas.clientWidth * Math.min(window.devicePixelRatio, 2));
    if (this.canvas.width !== side) {
      this.canvas.width = side;
      this.canvas.height = side;
    }
    return side;
  }
}

export function Grille({ state, muted = false, micTrack = null, botTrack = null }: GrilleProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<GrillePainter | null>(null);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!canvas.current || !context) return;
    const mine = new GrillePainter(canvas.current, context);
    painter.current = mine;
    return () => {
      painter.current = null;
      mine.stop();
    };
  }, []);

  useEffect(() => {
    painter.current?.show(state, muted);
  }, [state, muted]);

  useEffect(() => listenTo(painter.current, "mic", micTrack), [micTrack]);
  useEffect(() => listenTo(painter.current, "bot", botTrack), [botTrack]);

  return <canvas ref={canvas} className="grille" aria-hidden="true" />;
}

function listenTo(
  painter: GrillePainter | null,
  who: "mic" | "bot",
  track: MediaStreamTrack | null,
): (() => void) | undefined {
  if (!painter || !track) return undefined;
  const analyser = analyseTrack(track);
  painter[who] = analyser;
  return () => {
    painter[who] = null;
    analyser?.close();
  };
}
