/** Binds a call to the reducer: the one place where events, clocks and devices meet the state. */
import { RTVIEvent } from "@pipecat-ai/client-js";
import type { BotOutputData, ErrorData, RTVIMessage } from "@pipecat-ai/client-js";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { createCall as createRealCall } from "./call";
import type { Call, CallOptions, VoiceClient } from "./call";
import { isPassing, pauseMs } from "./comeBack";
import { classifyMicrophoneError } from "../media/microphone";
import { MICROPHONE_KINDS, toSessionError } from "./errors";
import { judge, readStats } from "./quality";
import type { LineStats } from "./quality";
import { initialState, reduce } from "./reducer";
import { isEstimated } from "./transcript";
import { VOICE_STATES } from "./types";
import type {
  BotOutput,
  Mode,
  SessionError,
  SessionEvent,
  SessionNotice,
  SessionState,
  TurnLatency,
  VoiceState,
} from "./types";

/** How often the text of a voice without word times is brought up to what has sounded. */
const TICK_MS = 120;
const NETWORK_CHECK_MS = 1000;
const QUALITY_MS = 2000;

/** What a call is placed with, and placed again. */
export interface Wanted {
  /** Where the service is; "" for the server that served this page. */
  server: string;
  agent: string;
  /** How it is talked with; null for its usual way. */
  mode: Mode | null;
  /** The microphone to begin with; null for the browser's default. */
  microphoneId: string | null;
  /** What lets into the service; null where nothing is needed. */
  key: string | null;
  /** Whether the user begins by writing. */
  writing: boolean;
}

export interface VoiceSession {
  state: SessionState;
  /** The client of the call that is up or being set up. */
  client: VoiceClient | null;
  /** What the bot says, while the connection is up. */
  botTrack: MediaStreamTrack | null;
  start: (wanted: Wanted) => void;
  end: () => void;
  /** Say something in writing. */
  write: (text: string) => void;
  /** Go on in writing, or by voice, for which the microphone may have to be asked for. */
  setWriting: (writing: boolean) => void;
  setMuted: (muted: boolean) => void;
  setNotice: (notice: SessionNotice | null) => void;
  dismissError: () => void;
}

export type CreateCall = (options: CallOptions) => Call;

/** A connection that was lost: when, and how often it was tried to come back since. */
interface Loss {
  at: number;
  tries: number;
}

export function useVoiceSession(createCall: CreateCall = createRealCall): VoiceSession {
  const [state, dispatch] = useReducer(reduce, initialState);
  const [client, setClient] = useState<VoiceClient | null>(null);
  const [botTrack, setBotTrack] = useState<MediaStreamTrack | null>(null);
  const current = useRef<Call | null>(null);
  const callOffPause = useRef<() => void>(() => undefined);
  const muted = useRef(false);
  const writing = useRef(false);

  const place = useCallback(
    function place(wanted: Wanted, loss: Loss | null): void {
      const call = createCall({
        server: wanted.server,
        microphoneId: wanted.microphoneId,
        key: wanted.key,
        withMicrophone: !writing.current,
        muted: muted.current || writing.current,
        onMicrophoneLost: () => send({ type: "notice", notice: { kind: "microphone-lost" } }),
        onMicrophoneBack: () => send({ type: "notice", notice: null }),
      });
      let over = false;
      let ready = false;
      current.current = call;
      setClient(call.client);
      setBotTrack(null);

      function send(event: SessionEvent): void {
        if (!over && current.current === call) dispatch(event);
      }

      /** Forget the call, unless that has happened, and then say why. */
      function finish(event: SessionEvent): void {
        if (over || current.current !== call) return;
        current.current = null;
        dispatch(event);
        // The transport may be in the midst of stopping, and is not to be stopped from within.
        queueMicrotask(() => void call.close());
      }

      /** End with an error, or come back, where the connection was up and is lost. */
      function fail(error: SessionError, since: Loss | null): void {
        if (over || current.current !== call) return;
        const pause =
          since && isPassing(error.kind) ? pauseMs(since.tries, Date.now() - since.at) : null;
        if (!since || pause === null) {
          finish({ type: "failed", error, at: Date.now() });
          return;
        }
        dispatch({ type: "lost", at: Date.now() });
        over = true;
        queueMicrotask(() => void call.leave());
        const again = { ...wanted, microphoneId: call.microphoneId() };
        const goOn = (): void => place(again, { ...since, tries: since.tries + 1 });
        callOffPause.current = pauseBefore(goOn, pause);
      }

      bind(call.client, send, finish, () => {
        // One that breaks before the bot is there is a try that has failed.
        const before = ready ? null : loss;
        const since = before ?? { at: Date.now(), tries: 0 };
        if (call.canComeBack()) fail({ kind: "connection-lost" }, since);
        else fail({ kind: "session-taken" }, null);
      });
      call.client.on(RTVIEvent.BotReady, () => {
        ready = true;
      });
      call.open(wanted.agent, wanted.mode).catch((error: unknown) => {
        fail(toSessionError(error, wanted.key), loss);
      });
    },
    [createCall],
  );

  const start = useCallback(
    (wanted: Wanted) => {
      if (current.current) return;
      muted.current = false;
      writing.current = wanted.writing;
      dispatch({ type: "start", agent: wanted.agent, writing: wanted.writing });
      place(wanted, null);
    },
    [place],
  );

  const end = useCallback(() => {
    const call = current.current;
    if (!call) return;
    callOffPause.current();
    // From here on the call's own events say nothing new.
    current.current = null;
    dispatch({ type: "ending" });
    void call.close().finally(() => dispatch({ type: "ended", by: "user", at: Date.now() }));
  }, []);

  const setMuted = useCallback((wanted: boolean) => {
    muted.current = wanted;
    current.current?.client.enableMic(!wanted);
    dispatch({ type: "muted", muted: wanted });
  }, []);

  const write = useCallback((text: string) => {
    const call = current.current;
    if (!call) return;
    dispatch({ type: "user-wrote", text, at: Date.now() });
    void call.client.sendText(text, { run_immediately: true, audio_response: !writing.current });
  }, []);

  const setWriting = useCallback((wanted: boolean) => {
    const call = current.current;
    if (!call) return;
    const go = (): void => {
      writing.current = wanted;
      call.client.enableMic(!wanted && !muted.current);
      dispatch({ type: "writing", writing: wanted });
    };
    if (wanted) {
      go();
      return;
    }
    dispatch({ type: "asking-for-microphone", asking: true });
    call
      .addMicrophone()
      .then(() => {
        if (current.current === call) go();
      })
      .catch((error: unknown) => {
        const { problem } = classifyMicrophoneError(error);
        dispatch({ type: "notice", notice: { kind: MICROPHONE_KINDS[problem] } });
      })
      .finally(() => dispatch({ type: "asking-for-microphone", asking: false }));
  }, []);

  const setNotice = useCallback((notice: SessionNotice | null) => {
    dispatch({ type: "notice", notice });
  }, []);

  const dismissError = useCallback(() => dispatch({ type: "dismiss-error" }), []);

  useEffect(() => {
    const leave = (): void => {
      const call = current.current;
      if (!call) return;
      callOffPause.current();
      current.current = null;
      dispatch({ type: "ended", by: "user", at: Date.now() });
      void call.leave();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      callOffPause.current();
      void current.current?.close();
      current.current = null;
    };
  }, []);

  const { connected } = state;
  useEffect(() => {
    if (!connected) return;
    const call = current.current;
    let before: LineStats | null = null;
    const look = (): void => {
      setBotTrack(current.current?.botTrack() ?? null);
      dispatch({ type: "unstable", unstable: current.current?.isUnstable() ?? false });
    };
    const measure = async (): Promise<void> => {
      const report = await call?.stats();
      if (!report || current.current !== call) return;
      const now = readStats(report);
      if (before) dispatch({ type: "quality", quality: judge(before, now) });
      before = now;
    };
    const first = setTimeout(look);
    const network = setInterval(look, NETWORK_CHECK_MS);
    const quality = setInterval(() => void measure(), QUALITY_MS);
    return () => {
      clearTimeout(first);
      clearInterval(network);
      clearInterval(quality);
    };
  }, [connected]);

  const ticks = connected && isEstimated(state.transcript);
  useEffect(() => {
    if (!ticks) return;
    const tick = setInterval(() => dispatch({ type: "tick", at: Date.now() }), TICK_MS);
    return () => clearInterval(tick);
  }, [ticks]);

  return {
    state,
    client,
    botTrack,
    start,
    end,
    write,
    setWriting,
    setMuted,
    setNotice,
    dismissError,
  };
}

/** Go on after a pause, or as soon as there is a network again; returns what calls it off. */
function pauseBefore(goOn: () => void, ms: number): () => void {
  const callOff = (): void => {
    clearTimeout(timer);
    window.removeEventListener("online", run);
  };
  const run = (): void => {
    callOff();
    goOn();
  };
  const timer = setTimeout(run, ms);
  window.addEventListener("online", run);
  return callOff;
}

/** Turn what the client tells into session events. */
function bind(
  client: VoiceClient,
  send: (event: SessionEvent) => void,
  finish: (event: SessionEvent) => void,
  onLost: () => void,
): void {
  const now = Date.now;
  let connected = false;

  client.on(RTVIEvent.TransportStateChanged, (transport) => {
    switch (transport) {
      case "initializing":
      case "initialized":
        send({ type: "asking-for-microphone", asking: transport === "initializing" });
        break;
      case "connected":
        connected = true;
        send({ type: "connected" });
        break;
      case "disconnecting":
        if (connected) send({ type: "ending" });
        break;
      case "disconnected":
        // Before the connection is up, whoever opened the call hears of the failure.
        if (connected) finish({ type: "ended", by: "bot", at: now() });
        break;
      case "error":
        if (connected) onLost();
        break;
    }
  });

  client.on(RTVIEvent.Error, (message) => {
    if (!connected) return;
    const { error, fatal } = message.data as Partial<ErrorData>;
    const described = error ? { detail: error } : {};
    if (fatal) {
      finish({ type: "failed", error: { kind: "bot-error", ...described }, at: now() });
    } else {
      send({ type: "notice", notice: { kind: "bot-problem", ...described } });
    }
  });

  client.on(RTVIEvent.ServerMessage, (data: unknown) => {
    const state = toVoiceState(data);
    if (state) send({ type: "voice-state", state, at: now() });
    const latency = toTurnLatency(data);
    if (latency) send({ type: "turn-latency", latency });
    const failure = toToolFailure(data);
    if (failure) send({ type: "tool-stopped", ...failure, at: now() });
  });

  client.onUnknownMessage = (message: RTVIMessage) => {
    if (message.type === "bot-interrupted") send({ type: "bot-interrupted", at: now() });
  };

  client.on(RTVIEvent.BotReady, () => send({ type: "bot-ready", at: now() }));
  client.on(RTVIEvent.UserStartedSpeaking, () => send({ type: "user-started", at: now() }));
  client.on(RTVIEvent.UserStoppedSpeaking, () => send({ type: "user-stopped" }));
  client.on(RTVIEvent.UserTranscript, ({ text, final }) =>
    send({ type: "user-transcript", text, final, at: now() }),
  );
  client.on(RTVIEvent.BotLlmStarted, () => send({ type: "bot-thinking" }));
  client.on(RTVIEvent.BotLlmStopped, () => send({ type: "bot-wrote", at: now() }));
  client.on(RTVIEvent.BotStartedSpeaking, () => send({ type: "bot-started", at: now() }));
  client.on(RTVIEvent.BotStoppedSpeaking, () => send({ type: "bot-stopped", at: now() }));
  client.on(RTVIEvent.BotOutput, (data) => {
    const output = toBotOutput(data);
    if (output) send({ type: "bot-output", output, at: now() });
  });
  client.on(RTVIEvent.LLMFunctionCallInProgress, (data) =>
    send({
      type: "tool-started",
      callId: data.tool_call_id,
      name: data.function_name ?? "",
      ...(data.arguments && { arguments: data.arguments }),
      at: now(),
    }),
  );
  client.on(RTVIEvent.LLMFunctionCallStopped, (data) =>
    send({
      type: "tool-stopped",
      callId: data.tool_call_id,
      outcome: data.cancelled ? "cancelled" : "completed",
      ...(data.result != null && { result: data.result }),
      at: now(),
    }),
  );
}

/** `{"type": "voice-state", "state": "listening"}`, or null for any other message. */
export function toVoiceState(data: unknown): VoiceState | null {
  const { type, state } = (data ?? {}) as { type?: unknown; state?: unknown };
  return type === "voice-state" ? (VOICE_STATES.find((known) => known === state) ?? null) : null;
}

/** `{"type": "turn-latency", "total_ms": 600, ...}`, or null for any other message. */
export function toTurnLatency(data: unknown): TurnLatency | null {
  const message = (data ?? {}) as Partial<TurnLatencyMessage>;
  if (message.type !== "turn-latency" || typeof message.total_ms !== "number") return null;
  const stages = Object.entries(message.stages_ms ?? {});
  return {
    totalMs: message.total_ms,
    stages: stages.map(([name, ms]) => ({ name, ms })),
    madeAhead: message.made_ahead ?? false,
    withdrawn: message.withdrawn ?? 0,
  };
}

/** `{"type": "tool-failed", "tool_call_id": "...", "outcome": "timed_out"}`, or null. */
export function toToolFailure(
  data: unknown,
): { callId: string; outcome: "failed" | "timed_out" } | null {
  const { type, tool_call_id, outcome } = (data ?? {}) as Record<string, unknown>;
  if (type !== "tool-failed" || typeof tool_call_id !== "string") return null;
  return { callId: tool_call_id, outcome: outcome === "timed_out" ? "timed_out" : "failed" };
}

interface TurnLatencyMessage {
  type: unknown;
  total_ms: unknown;
  stages_ms: Record<string, number>;
  made_ahead: boolean;
  withdrawn: number;
}

/**
 * `bot-output` is the one message that tells what is spoken and how far: `bot-llm-text` runs ahead
 * of the voice, and `bot-tts-text` comes per word or only when a sentence is done.
 */
export function toBotOutput(data: BotOutputData): BotOutput | null {
  if (data.segment_id === undefined || !data.text) return null;
  return {
    text: data.text,
    segmentId: data.segment_id,
    willBeSpoken: data.will_be_spoken ?? true,
    status: data.spoken_status ?? "new",
    accumulated: data.spoken_progress?.accumulated_text ?? "",
  };
}
