/** A conversation over one of the JSON protocols, as a pure function of what happens to it. */
import type { TranscriptEntry, VoiceState } from "../session/types";
import type { ErrorMessage, ServerMessage } from "./messages";
import type { LineError } from "./problems";

/** What becomes of the utterance that was said last, where the protocol tells. */
export interface Steps {
  heard: string;
  /** The bot hears no more of it. */
  isHeard: boolean;
  tools: { name: string; args: unknown }[];
  written: string;
  /** The answer is spoken. */
  isSpoken: boolean;
  isOver: boolean;
}

export interface Conversation {
  voiceState: VoiceState;
  /** The button to speak is held down. */
  held: boolean;
  /** It was let go before anything could have been said. */
  tooShort: boolean;
  /** The bot is to hear by itself when an utterance is over. */
  handsFree: boolean;
  muted: boolean;
  /** The connection is lost, and is being made again. */
  unstable: boolean;
  askingForMicrophone: boolean;
  transcript: TranscriptEntry[];
  steps: Steps | null;
  error: LineError | null;
  notice: Notice | null;
  /** Who ended the last call. */
  endedBy: "user" | "bot" | "error" | null;
}

/** A passing problem: the call goes on. */
export type Notice =
  | { kind: "sound-blocked" | "microphone-lost" }
  | { kind: "service-failed" | "not-heard"; detail: string };

/** Everything that can happen to a conversation. Times are in ms and come from outside. */
export type ConversationEvent =
  | { type: "start"; handsFree: boolean }
  | { type: "asking-for-microphone"; asking: boolean }
  | { type: "opened"; isReady: boolean }
  | { type: "lost" }
  | { type: "message"; message: ServerMessage; at: number }
  | { type: "held" }
  | { type: "let-go"; heldMs: number }
  | { type: "hands-free"; handsFree: boolean }
  | { type: "muted"; muted: boolean }
  | { type: "notice"; notice: Notice | null }
  | { type: "ended"; by: "user" | "bot" }
  | { type: "failed"; error: LineError }
  | { type: "dismiss-error" };

export const initialConversation: Conversation = {
  voiceState: "disconnected",
  held: false,
  tooShort: false,
  handsFree: false,
  muted: false,
  unstable: false,
  askingForMicrophone: false,
  transcript: [],
  steps: null,
  error: null,
  notice: null,
  endedBy: null,
};

export const NO_STEPS: Steps = {
  heard: "",
  isHeard: false,
  tools: [],
  written: "",
  isSpoken: false,
  isOver: false,
};

/** Nobody says anything within this time. */
const SHORTEST_MS = 300;

/** Codes of errors that are about what this page has sent. */
const NOT_HEARD = /^(AUDIO_|INVALID_MESSAGE$|UNKNOWN_TYPE$)/;

export function reduceConversation(
  state: Conversation,
  event: Exclude<ConversationEvent, { type: "message" }>,
): Conversation {
  if (event.type === "start") {
    const { handsFree } = event;
    return { ...initialConversation, voiceState: "connecting", handsFree };
  }
  if (event.type === "dismiss-error") return { ...state, error: null };
  if (state.voiceState === "disconnected") return state;
  switch (event.type) {
    case "asking-for-microphone":
      return { ...state, askingForMicrophone: event.asking };

    case "opened":
      return {
        ...state,
        voiceState: event.isReady ? "listening" : "initializing",
        unstable: false,
      };

    // What was said of an utterance that is not over is lost, and so is the rest of the answer.
    case "lost":
      return {
        ...cutOff(state),
        voiceState: "connecting",
        held: false,
        unstable: true,
      };

    case "held":
      return {
        ...(state.voiceState === "speaking" ? cutOff(state) : state),
        voiceState: "processing",
        held: true,
        tooShort: false,
      };

    case "let-go":
      return {
        ...state,
        voiceState: state.voiceState === "processing" ? "thinking" : state.voiceState,
        held: false,
        tooShort: event.heldMs < SHORTEST_MS,
      };

    case "hands-free":
      return { ...state, handsFree: event.handsFree };

    case "muted":
      return { ...state, muted: event.muted };

    case "notice":
      return { ...state, notice: event.notice };

    case "ended":
      return { ...over(state), endedBy: event.by };

    case "failed":
      return { ...over(state), error: event.error, endedBy: "error" };
  }
}

function over(state: Conversation): Conversation {
  return {
    ...state,
    voiceState: "disconnected",
    held: false,
    tooShort: false,
    muted: false,
    unstable: false,
    askingForMicrophone: false,
    notice: null,
    transcript: close(state, true).transcript.map((entry) => ({ ...entry, final: true })),
  };
}

/** The service has failed at something, or cannot take what was sent; the call goes on. */
export function tellError(state: Conversation, { message, code }: ErrorMessage): Conversation {
  const kind = NOT_HEARD.test(code ?? "") ? "not-heard" : "service-failed";
  return { ...state, notice: { kind, detail: message } };
}

/** The bot waits for the user, who may be speaking already. */
export function rest(state: Conversation): Conversation {
  return { ...state, voiceState: state.held ? "processing" : "listening" };
}

export function goTo(state: Conversation, voiceState: VoiceState): Conversation {
  return state.voiceState === voiceState ? state : { ...state, voiceState };
}

/** Show what the user says: `text` is all of the utterance so far. */
export function hear(
  state: Conversation,
  text: string,
  isFinal: boolean,
  at: number,
): Conversation {
  const open = state.transcript.findLastIndex((entry) => entry.role === "user" && !entry.final);
  const transcript = state.transcript.map((entry, i) =>
    i === open ? { ...entry, text, final: isFinal } : entry,
  );
  if (open >= 0) return { ...state, transcript };
  // A transcript that is late belongs before the answer that has begun.
  const last = transcript.at(-1);
  const index = transcript.length - (last?.role === "bot" && !last.final ? 1 : 0);
  return insert(state, index, { role: "user", text, final: isFinal, at });
}

/** Show more of what the bot says. */
export function say(state: Conversation, text: string, at: number): Conversation {
  const { transcript } = state;
  const last = transcript.at(-1);
  if (last?.role !== "bot" || last.final) {
    return insert(state, transcript.length, { role: "bot", text, final: false, at });
  }
  return { ...state, transcript: [...transcript.slice(0, -1), { ...last, text: last.text + text }] };
}

/** Show that the bot uses a tool, which is over when it says or does the next thing. */
export function callTool(state: Conversation, name: string, at: number): Conversation {
  const { transcript } = finish(state);
  return insert({ ...state, transcript }, transcript.length, {
    role: "tool",
    text: name,
    final: false,
    at,
    tool: { callId: "", outcome: "running" },
  });
}

/** The bot has said what it had to say. */
export function finish(state: Conversation): Conversation {
  return close(state, false);
}

/** The user speaks over the bot. */
export function cutOff(state: Conversation): Conversation {
  return close(state, true);
}

function close(state: Conversation, interrupted: boolean): Conversation {
  if (!state.transcript.some(isOpen)) return state;
  const transcript = state.transcript.map((entry) =>
    isOpen(entry) ? closed(entry, interrupted) : entry,
  );
  return { ...state, transcript };
}

function closed(entry: TranscriptEntry, interrupted: boolean): TranscriptEntry {
  const { role, tool } = entry;
  const outcome = interrupted ? "cancelled" : "completed";
  return {
    ...entry,
    final: true,
    interrupted: interrupted && role === "bot",
    ...(tool && { tool: { ...tool, outcome } }),
  };
}

function isOpen(entry: TranscriptEntry): boolean {
  return entry.role !== "user" && !entry.final;
}

function insert(
  state: Conversation,
  index: number,
  entry: Pick<TranscriptEntry, "role" | "text" | "final" | "at" | "tool">,
): Conversation {
  const sequence = state.transcript.length + 1;
  // When something is over, these protocols do not tell.
  const added = { ...entry, sequence, interrupted: false, endedAt: null };
  return { ...state, transcript: state.transcript.toSpliced(index, 0, added) };
}
