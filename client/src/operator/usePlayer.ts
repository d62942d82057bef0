/** Plays the sound of a call from any moment of it, with either side or both. */
import { useCallback, useEffect, useRef, useState } from "react";
import { momentOf, partAt, secsAt } from "./sound";
import type { Part } from "./sound";

export type Side = "user" | "bot";

export interface Player {
  playing: boolean;
  /** Where it is, in ms of the call's clock; null before it was first played or sought. */
  at: number | null;
  silent: Readonly<Record<Side, boolean>>;
  toggle: () => void;
  seek: (at: number) => void;
  setSilent: (side: Side, silent: boolean) => void;
}

/** How often the hand on the axis moves. */
const TICK_MS = 50;

export function usePlayer(parts: Part[]): Player {
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const [silent, setSilentState] = useState({ user: false, bot: false });
  const deck = useRef<Deck | null>(null);

  useEffect(
    () => () => {
      deck.current?.close();
      deck.current = null;
    },
    [],
  );

  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => setAt(deck.current?.at ?? null), TICK_MS);
    return () => clearInterval(timer);
  }, [playing]);

  const open = useCallback((): Deck => {
    deck.current ??= new Deck(setPlaying);
    return deck.current;
  }, []);

  const seek = useCallback(
    (to: number): void => {
      const last = parts.at(-1);
      const part = partAt(parts, to) ?? last;
      if (!part) return;
      open().load(part, parts, to);
      setAt(Math.min(Math.max(to, part.from), part.to));
    },
    [open, parts],
  );

  const toggle = useCallback((): void => {
    const player = open();
    if (playing) {
      player.pause();
      return;
    }
    const last = parts.at(-1);
    const first = parts[0];
    if (!first || !last) return;
    const isOver = at === null || at >= last.to - TICK_MS;
    player.load(isOver ? first : (partAt(parts, at) ?? last), parts, isOver ? first.from : at);
    player.play();
  }, [at, open, parts, playing]);

  const setSilent = useCallback(
    (side: Side, isSilent: boolean): void => {
      setSilentState((before) => ({ ...before, [side]: isSilent }));
      open().setSilent(side, isSilent);
    },
    [open],
  );

  return { playing, at, silent, toggle, seek, setSilent };
}

/** An audio element whose two sides can be switched off. */
class Deck {
  private readonly audio = new Audio();
  private readonly context = new AudioContext();
  private readonly gains: Record<Side, GainNode>;
  private part: Part | null = null;
  private parts: Part[] = [];

  constructor(onPlaying: (playing: boolean) => void) {
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    const merger = new ChannelMergerNode(this.context, { numberOfInputs: 2 });
    const side = (channel: number): GainNode => {
      const gain = new GainNode(this.context);
      splitter.connect(gain, channel).connect(merger, 0, channel);
      return gain;
    };
    this.gains = { user: side(0), bot: side(1) };
    this.context.createMediaElementSource(this.audio).connect(splitter);
    merger.connect(this.context.destination);
    this.audio.onplay = () => onPlaying(true);
    this.audio.onpause = () => onPlaying(false);
    this.audio.onended = () => this.goOn();
  }

  get at(): number | null {
    return this.part && momentOf(this.part, this.audio.currentTime);
  }

  load(part: Part, parts: Part[], at: number): void {
    this.parts = parts;
    const wasPlaying = !this.audio.paused;
    if (this.part !== part) {
      this.part = part;
      this.audio.src = part.url;
      if (wasPlaying) this.play();
    }
    this.audio.currentTime = secsAt(part, at);
  }

  play(): void {
    void this.context.resume();
    // It is refused where a pause comes in between.
    this.audio.play().catch(() => undefined);
  }

  pause(): void {
    this.audio.pause();
  }

  setSilent(side: Side, silent: boolean): void {
    this.gains[side].gain.value = silent ? 0 : 1;
  }

  close(): void {
    this.audio.pause();
    this.audio.removeAttribute("src");
    void this.context.close();
  }

  private goOn(): void {
    const next = this.part && this.parts[this.parts.indexOf(this.part) + 1];
    if (!next) return;
    this.load(next, this.parts, next.from);
    this.play();
  }
}
