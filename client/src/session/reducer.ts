/** The session as a pure function of what happens to it. */
import {
  DEFAULT_SPEECH_RATE,
  addBotOutput,
  addTool,
  addUserText,
  addWrittenText,
  closeAll,
  closeTool,
  closeUserText,
  finishBot,
  finishWritten,
  forgetSegments,
  interruptBot,
  measureRate,
  resumeBot,
  revealSpoken,
} from "./transcript";
import type { SessionEvent, SessionState, VoiceState } from "./types";

export const initialState: SessionState = {
  agent: null,
  voiceState: "disconnected",
  serverLed: false,
  connected: false,
  unstable: false,
  comingBack: false,
  quality: null,
  askingForMicrophone: false,
  muted: false,
  writing: false,
  transcript: [],
  speechRate: DEFAULT_SPEECH_RATE,
  latencies: [],
  userStartedAt: null,
  botWrites: false,
  botSpeaks: false,
  botStoppedAt: null,
  error: null,
  notice: null,
  startedAt: null,
  endedAt: null,
  endedBy: null,
};

/** Answers whose response times are kept. */
const KEPT_LATENCIES = 20;

/** States that the server may put us in; the others follow from the connection. */
const SERVER_STATES: readonly VoiceState[] = [
  "initializing",
  "listening",
  "processing",
  "thinking",
  "speaking",
  "disconnecting",
];

const NOT_CONNECTED = {
  connected: false,
  unstable: false,
  comingBack: false,
  quality: null,
  askingForMicrophone: false,
  botSpeaks: false,
} satisfies Partial<SessionState>;

/** The bot is there; it may have been before, in a call that was lost and is back. */
function begun(state: SessionState, at: number): SessionState {
  return { ...state, startedAt: state.startedAt ?? at };
}

function isOver(state: SessionState): boolean {
  return state.voiceState === "disconnected" || state.voiceState === "disconnecting";
}

/** Move by an event of a server that does not publish its voice state. */
function derive(state: SessionState, to: VoiceState): SessionState {
  return state.serverLed || isOver(state) ? state : { ...state, voiceState: to };
}

function over(state: SessionState, at: number): SessionState {
  return {
    ...state,
    voiceState: "disconnected",
    ...NOT_CONNECTED,
    notice: null,
    transcript: closeAll(state.transcript, at),
    endedAt: at,
  };
}

export function reduce(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case "start":
      return {
        ...initialState,
        agent: event.agent,
        voiceState: "connecting",
        writing: event.writing,
      };

    case "dismiss-error":
      return { ...state, error: null };

    case "ending":
      return state.voiceState === "disconnected"
        ? state
        : { ...state, voiceState: "disconnecting" };

    case "ended":
      return state.voiceState === "disconnected"
        ? state
        : { ...over(state, event.at), endedBy: event.by };

    case "failed":
      return { ...over(state, event.at), error: event.error, endedBy: "error" };

    default:
      return state.voiceState === "disconnected" ? state : reduceCall(state, event);
  }
}

type CallEvent = Exclude<
  SessionEvent,
  { type: "start" | "dismiss-error" | "ending" | "ended" | "failed" }
>;

function reduceCall(state: SessionState, event: CallEvent): SessionState {
  switch (event.type) {
    case "asking-for-microphone":
      return { ...state, askingForMicrophone: event.asking };

    case "lost":
      return {
        ...state,
        ...NOT_CONNECTED,
        comingBack: true,
        serverLed: false,
        voiceState: "connecting",
        transcript: forgetSegments(closeAll(state.transcript, event.at)),
      };

    case "connected":
      return {
        ...state,
        connected: true,
        comingBack: false,
        voiceState: state.voiceState === "connecting" ? "initializing" : state.voiceState,
      };

    case "bot-ready":
      return state.voiceState === "initializing" || state.voiceState === "connecting"
        ? derive(begun(state, event.at), "listening")
        : begun(state, event.at);

    case "voice-state":
      if (!SERVER_STATES.includes(event.state) || state.voiceState === "disconnecting")
        return state;
      return { ...state, serverLed: true, voiceState: event.state };

    case "user-started":
      return derive(
        {
          ...state,
          userStartedAt: event.at,
          transcript: closeUserText(state.transcript, event.at),
        },
        "processing",
      );

    case "user-stopped":
      return derive(state, "thinking");

    case "user-transcript":
      return {
        ...state,
        userStartedAt: event.final ? null : state.userStartedAt,
        transcript: addUserText(
          state.transcript,
          event.text,
          event.final,
          event.at,
          state.userStartedAt ?? event.at,
        ),
      };

    case "user-wrote":
      return {
        ...state,
        transcript: addWrittenText(state.transcript, event.text, event.at),
      };

    case "bot-thinking":
      return derive(
        { ...state, botWrites: true },
        state.voiceState === "speaking" ? "speaking" : "thinking",
      );

    case "bot-output": {
      const { output, at } = event;
      const entries = resumeBot(state.transcript, state.botStoppedAt, at);
      const transcript = addBotOutput(entries, output, at);
      // The last words of an answer that is read come behind the news that it is written.
      // Of one service that hears and speaks, words come as they are heard, though none is to be read.
      const isWhole = !output.willBeSpoken && !state.botWrites && !state.botSpeaks;
      return {
        ...state,
        speechRate: measureRate(entries, output, at, state.speechRate),
        transcript: isWhole ? finishWritten(transcript, at) : transcript,
      };
    }

    case "bot-wrote":
      return state.writing
        ? {
            ...derive(state, "listening"),
            botWrites: false,
            botStoppedAt: event.at,
            transcript: finishWritten(state.transcript, event.at),
          }
        : { ...state, botWrites: false };

    case "bot-started":
      return derive(
        {
          ...state,
          botSpeaks: true,
          transcript: resumeBot(state.transcript, state.botStoppedAt, event.at),
        },
        "speaking",
      );

    case "bot-stopped":
      return derive(
        {
          ...state,
          botSpeaks: false,
          botStoppedAt: event.at,
          transcript: finishBot(state.transcript, event.at),
        },
        state.voiceState === "speaking" ? "listening" : state.voiceState,
      );

    case "bot-interrupted":
      return {
        ...state,
        botSpeaks: false,
        transcript: interruptBot(
          revealSpoken(state.transcript, event.at, state.speechRate),
          event.at,
        ),
      };

    case "tool-started":
      return { ...state, transcript: addTool(state.transcript, event) };

    case "tool-stopped":
      return { ...state, transcript: closeTool(state.transcript, event) };

    case "turn-latency":
      return {
        ...state,
        latencies: [...state.latencies, event.latency].slice(-KEPT_LATENCIES),
      };

    case "tick": {
      const transcript = revealSpoken(state.transcript, event.at, state.speechRate);
      return transcript === state.transcript ? state : { ...state, transcript };
    }

    case "muted":
      return { ...state, muted: event.muted };

    case "writing":
      return { ...state, writing: event.writing };

    case "unstable":
      if (state.unstable === event.unstable) return state;
      return { ...state, unstable: event.unstable, quality: event.unstable ? null : state.quality };

    case "quality":
      return state.unstable ? state : { ...state, quality: event.quality };

    case "notice":
      return { ...state, notice: event.notice };
  }
}
