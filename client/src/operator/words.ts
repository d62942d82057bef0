/** What things are called, and how numbers are written. */
import { humanize } from "../session/labels";
import type { VoiceState } from "../session/types";
import type { ProblemKind } from "./api";

/** What the bot does, in a word. */
export const STATE_WORDS: Readonly<Record<VoiceState, string>> = {
  disconnected: "Empty",
  connecting: "Connecting",
  initializing: "Starting",
  listening: "Listening",
  processing: "Hearing",
  thinking: "Thinking",
  speaking: "Speaking",
  disconnecting: "Ending",
};

const STAGES: Readonly<Record<string, string | undefined>> = {
  stt: "Speech recognition",
  llm: "Language model",
  tts: "Voice",
  realtime: "Speech to speech",
};

export function serviceWords(stage: string, provider: string): string {
  return `${STAGES[stage] ?? stage} · ${provider}`;
}

export const ACCESS_WORDS: Readonly<
  Record<
    Extract<ProblemKind, "key-needed" | "key-refused" | "not-operator">,
    { title: string; advice: string }
  >
> = {
  "key-needed": {
    title: "This page is for operators.",
    advice:
      "It needs an operator's key: “python -m runner keys add NAME --operator” makes one. It is forgotten when you close this tab.",
  },
  "key-refused": {
    title: "This key is not good.",
    advice: "It may have been revoked, or a letter is missing.",
  },
  "not-operator": {
    title: "This key is not an operator's.",
    advice: "It opens its own user's calls only. A key that opens this page is made with “--operator”.",
  },
};

/** 612.5 -> `613 ms`, 1480 -> `1.48 s` */
export function formatMs(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** `14:05`, where the reader is. */
export function formatClock(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

/** `14:05`, with the day in front unless that is today. */
export function formatWhen(at: number, now: number): string {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return isToday ? formatClock(at) : `${day} ${formatClock(at)}`;
}

/** `hung_up` -> `Hung up` */
export function reasonWords(reason: string | null): string {
  return reason === null ? "Ended" : humanize(reason);
}
