import type { Quality } from "./quality";

/** What the bot is doing, as the server names it. */
export const VOICE_STATES = [
  "disconnected",
  "connecting",
  "initializing",
  "listening",
  "processing",
  "thinking",
  "speaking",
  "disconnecting",
] as const;

export type VoiceState = (typeof VOICE_STATES)[number];

/** Speech is written down, answered and read out; or one model hears and speaks. */
export const MODES = ["chained", "speech_to_speech"] as const;

export type Mode = (typeof MODES)[number];

export interface Agent {
  name: string;
  description: string;
  /** How it can be talked with, the usual way first. */
  modes: Mode[];
}

/** Why a call could not start, or why it ended early. */
export type SessionErrorKind =
  | "microphone-denied"
  | "microphone-missing"
  | "microphone-busy"
  | "microphone-failed"
  | "insecure-context"
  | "server-unreachable"
  | "server-busy"
  | "key-needed"
  | "key-refused"
  | "start-refused"
  | "session-over"
  | "session-taken"
  | "connection-failed"
  | "connection-lost"
  | "bot-silent"
  | "bot-error";

export interface SessionError {
  kind: SessionErrorKind;
  /** What the server or the browser said about it, where that helps the user. */
  detail?: string;
}

/** Why there is no microphone. */
export type MicrophoneErrorKind = Extract<
  SessionErrorKind,
  `microphone-${string}` | "insecure-context"
>;

/** A passing problem: the call goes on. */
export interface SessionNotice {
  kind: "bot-problem" | "microphone-lost" | "sound-blocked" | MicrophoneErrorKind;
  detail?: string;
}

/** A stretch of the bot's reply, usually a sentence, that is spoken as one. */
export interface Segment {
  id: number;
  text: string;
  /** How many characters of `text` have sounded. */
  spoken: number;
  /** When it began to sound, in ms; null while it waits for the ones before it. */
  startedAt: number | null;
  /** The server tells each word as it sounds, so progress is never estimated. */
  timed: boolean;
}

/** What the server tells of a tool that the bot uses; names as in its own transcripts. */
export interface ToolCall {
  callId: string;
  outcome: ToolOutcome;
  /** What it was given, and what it returned; where the server tells. */
  arguments?: unknown;
  result?: unknown;
}

export type ToolOutcome = "running" | "completed" | "failed" | "timed_out" | "cancelled";

export interface TranscriptEntry {
  /** Its number in the call. */
  sequence: number;
  role: "user" | "bot" | "tool";
  /** What was said; for the bot, only what has sounded. For a tool, its name. */
  text: string;
  final: boolean;
  /** The bot was cut off. */
  interrupted: boolean;
  /** When it began, in ms. */
  at: number;
  /** When it was over, in ms; null while it goes on. */
  endedAt: number | null;
  /** What the bot would have gone on to say when it was cut off. */
  unheard?: string;
  /** For a tool. */
  tool?: ToolCall;
  /** For the bot: what it says, including what has not sounded yet. */
  segments?: Segment[];
  /** For the user: they wrote it, and nothing that they say is added to it. */
  written?: boolean;
  /** For the user: the words that the server will not change any more. */
  settled?: string;
}

/** What the user waited for one answer, as the server measured it. */
export interface TurnLatency {
  totalMs: number;
  /** The parts of the wait in their order, by Pipecat's names; they add up to the whole. */
  stages: { name: string; ms: number }[];
  /** The answer was made while the turn might still have gone on. */
  madeAhead: boolean;
  /** Answers that were made ahead in this turn, and thrown away. */
  withdrawn: number;
}

export interface SessionState {
  /** The name of the bot that was called last. */
  agent: string | null;
  voiceState: VoiceState;
  /** The server publishes the voice state; until it does, it is derived from other events. */
  serverLed: boolean;
  /** The media connection is up. */
  connected: boolean;
  /** The connection is up but nothing comes through; it is being mended. */
  unstable: boolean;
  /** The connection was lost, and the session is being come back to. */
  comingBack: boolean;
  /** How well the connection carries sound; null where nothing is known of it. */
  quality: Quality | null;
  /** The browser is asking the user for the microphone. */
  askingForMicrophone: boolean;
  muted: boolean;
  /** The user writes, and reads the answers: the microphone and the voice are off. */
  writing: boolean;
  transcript: TranscriptEntry[];
  /** Characters a second of the bot's voice, learnt from the segments it has finished. */
  speechRate: number;
  /** Of the last answers, oldest first. */
  latencies: TurnLatency[];
  /** When the user began to say what is not transcribed yet, in ms. */
  userStartedAt: number | null;
  /** The bot writes an answer. */
  botWrites: boolean;
  /** The bot is heard. */
  botSpeaks: boolean;
  /** When the bot last fell silent, in ms. */
  botStoppedAt: number | null;
  error: SessionError | null;
  notice: SessionNotice | null;
  startedAt: number | null;
  endedAt: number | null;
  /** Who ended the last call. */
  endedBy: "user" | "bot" | "error" | null;
}

/** `bot-output` as the reducer needs it. */
export interface BotOutput {
  text: string;
  segmentId: number;
  willBeSpoken: boolean;
  status: "new" | "in-progress" | "completed";
  /** What has sounded of the segment so far. */
  accumulated: string;
}

/** Everything that can happen to a session. Times are in ms and come from outside. */
export type SessionEvent =
  | { type: "start"; agent: string; writing: boolean }
  | { type: "asking-for-microphone"; asking: boolean }
  | { type: "connected" }
  | { type: "bot-ready"; at: number }
  | { type: "voice-state"; state: VoiceState; at: number }
  | { type: "user-started"; at: number }
  | { type: "user-stopped" }
  | { type: "user-transcript"; text: string; final: boolean; at: number }
  | { type: "user-wrote"; text: string; at: number }
  | { type: "bot-thinking" }
  | { type: "bot-output"; output: BotOutput; at: number }
  | { type: "bot-wrote"; at: number }
  | { type: "bot-started"; at: number }
  | { type: "bot-stopped"; at: number }
  | { type: "bot-interrupted"; at: number }
  | { type: "tool-started"; callId: string; name: string; arguments?: unknown; at: number }
  | { type: "tool-stopped"; callId: string; outcome: ToolOutcome; result?: unknown; at: number }
  | { type: "turn-latency"; latency: TurnLatency }
  | { type: "tick"; at: number }
  | { type: "muted"; muted: boolean }
  | { type: "writing"; writing: boolean }
  | { type: "unstable"; unstable: boolean }
  | { type: "quality"; quality: Quality | null }
  | { type: "lost"; at: number }
  | { type: "notice"; notice: SessionNotice | null }
  | { type: "ending" }
  | { type: "ended"; by: "user" | "bot"; at: number }
  | { type: "failed"; error: SessionError; at: number }
  | { type: "dismiss-error" };
