import { RTVIEvent, RTVIMessage, StartBotError } from "@pipecat-ai/client-js";
import { act, renderHook } from "@testing-library/react";
import { EventEmitter } from "events";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, CallOptions, VoiceClient } from "./call";
import { useVoiceSession } from "./useVoiceSession";

function deferred() {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}

class FakeClient extends EventEmitter {
  onUnknownMessage: ((message: RTVIMessage) => void) | null = null;
  enableMic = vi.fn();
}

class FakeCall implements Call {
  readonly fake = new FakeClient();
  readonly client = this.fake as unknown as VoiceClient;
  opened = deferred();
  agent: string | null = null;
  close = vi.fn(() => Promise.resolve());
  leave = vi.fn(() => Promise.resolve());
  isUnstable = vi.fn(() => false);
  botTrack = vi.fn(() => null);

  constructor(readonly options: CallOptions) {}

  open(agent: string): Promise<void> {
    this.agent = agent;
    return this.opened.promise;
  }
}

let calls: FakeCall[];

function call(): FakeCall {
  const last = calls[calls.length - 1];
  if (!last) throw new Error("there is no call");
  return last;
}

function setUp() {
  const createCall = (options: CallOptions): Call => {
    const created = new FakeCall(options);
    calls.push(created);
    return created;
  };
  return renderHook(() => useVoiceSession(createCall)).result;
}

function emit(event: RTVIEvent, ...payload: unknown[]): void {
  act(() => void call().fake.emit(event, ...payload));
}

function connect(): void {
  emit(RTVIEvent.TransportStateChanged, "connected");
  emit(RTVIEvent.BotReady, { version: "2.2.0" });
}

describe("useVoiceSession", () => {
  beforeEach(() => {
    calls = [];
  });

  it("starts a call with the chosen agent and microphone", () => {
    const session = setUp();
    act(() => session.current.start("sales", "mic-1"));
    expect(call().agent).toBe("sales");
    expect(call().options.microphoneId).toBe("mic-1");
    expect(session.current.state.voiceState).toBe("connecting");
  });

  it("starts one call, however often it is asked to", () => {
    const session = setUp();
    act(() => {
      session.current.start("sales", null);
      session.current.start("sales", null);
    });
    expect(calls).toHaveLength(1);
  });

  it("tells that the browser is asking for the microphone", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    emit(RTVIEvent.TransportStateChanged, "initializing");
    expect(session.current.state.askingForMicrophone).toBe(true);
    emit(RTVIEvent.TransportStateChanged, "initialized");
    expect(session.current.state.askingForMicrophone).toBe(false);
  });

  it("follows the voice state that the server publishes", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.ServerMessage, { type: "voice-state", state: "thinking" });
    expect(session.current.state.voiceState).toBe("thinking");
  });

  it("keeps what the server tells of the wait for an answer", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.ServerMessage, {
      type: "turn-latency",
      total_ms: 640,
      stages_ms: { endpointing_wait: 300, llm_inference: 340 },
      made_ahead: true,
      withdrawn: 1,
    });
    emit(RTVIEvent.ServerMessage, { type: "turn-latency" });
    expect(session.current.state.latencies).toEqual([
      {
        totalMs: 640,
        stages: [
          { name: "endpointing_wait", ms: 300 },
          { name: "llm_inference", ms: 340 },
        ],
        madeAhead: true,
        withdrawn: 1,
      },
    ]);
  });

  it("marks a reply that was interrupted", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.BotOutput, {
      text: "Hello there, my friend.",
      segment_id: 1,
      will_be_spoken: true,
      spoken_status: "in-progress",
      spoken_progress: { accumulated_text: "Hello", remaining_text: " there, my friend." },
    });
    act(() => call().fake.onUnknownMessage?.(new RTVIMessage("bot-interrupted", {})));
    expect(session.current.state.transcript).toMatchObject([{ text: "Hello", interrupted: true }]);
  });

  it("shows how tools went, with what the server tells of them", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    const start = (id: string, more: object): void =>
      emit(RTVIEvent.LLMFunctionCallInProgress, { tool_call_id: id, ...more });
    const stop = (id: string, more: object): void =>
      emit(RTVIEvent.LLMFunctionCallStopped, { tool_call_id: id, ...more });
    start("a", { function_name: "quote", arguments: { seats: 5 } });
    stop("a", { cancelled: false, result: { price: 60 } });
    start("b", { function_name: "quote" });
    stop("b", { cancelled: true });
    start("c", {});
    emit(RTVIEvent.ServerMessage, { type: "tool-failed", tool_call_id: "c", outcome: "timed_out" });
    emit(RTVIEvent.ServerMessage, { type: "tool-failed" });
    stop("c", { cancelled: true });
    expect(session.current.state.transcript.map(({ text, tool }) => [text, tool])).toEqual([
      [
        "quote",
        { callId: "a", outcome: "completed", arguments: { seats: 5 }, result: { price: 60 } },
      ],
      ["quote", { callId: "b", outcome: "cancelled" }],
      ["", { callId: "c", outcome: "timed_out" }],
    ]);
  });

  it("looks at the clock only while that tells how far the bot is", () => {
    vi.useFakeTimers();
    let renders = 0;
    const { result: session } = renderHook(() => {
      renders++;
      return useVoiceSession((options) => {
        const created = new FakeCall(options);
        calls.push(created);
        return created;
      });
    });
    const wait = (ms: number): number => {
      const before = renders;
      act(() => void vi.advanceTimersByTime(ms));
      return renders - before;
    };
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.UserTranscript, { text: "Hello.", final: true });
    wait(1);
    expect(wait(900)).toBe(0);

    emit(RTVIEvent.BotOutput, { text: "We are open from eight to six.", segment_id: 1 });
    wait(900);
    expect(session.current.state.transcript[1]?.text).toBe("We are open");

    emit(RTVIEvent.BotStoppedSpeaking);
    expect(session.current.state.transcript[1]?.text).toBe("We are open from eight to six.");
    wait(199);
    expect(wait(900)).toBe(0);
    vi.useRealTimers();
  });

  it("ends the call and releases it", async () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    await act(() => {
      session.current.end();
      emit(RTVIEvent.TransportStateChanged, "disconnected");
      return Promise.resolve();
    });
    expect(call().close).toHaveBeenCalledOnce();
    expect(session.current.state).toMatchObject({ voiceState: "disconnected", endedBy: "user" });
  });

  it("tells when the bot has hung up", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.TransportStateChanged, "disconnecting");
    emit(RTVIEvent.TransportStateChanged, "disconnected");
    expect(session.current.state).toMatchObject({ voiceState: "disconnected", endedBy: "bot" });
  });

  it("tells that the server is full, and can be started again", async () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    await act(async () => {
      call().opened.reject(new StartBotError("Full.", 429));
      await Promise.resolve();
    });
    expect(session.current.state.error).toEqual({ kind: "server-busy", detail: "Full." });
    expect(call().close).toHaveBeenCalledOnce();
    act(() => session.current.start("sales", null));
    expect(calls).toHaveLength(2);
  });

  it("tells a lost connection from one that could not be made", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state.error).toBeNull();
    connect();
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state.error).toEqual({ kind: "connection-lost" });
  });

  it("goes on after an error of the bot that is not fatal, and ends after one that is", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    connect();
    emit(RTVIEvent.Error, { data: { error: "Slow.", fatal: false } });
    expect(session.current.state.notice).toEqual({ kind: "bot-problem", detail: "Slow." });
    expect(session.current.state.voiceState).toBe("listening");
    emit(RTVIEvent.Error, { data: { error: "Dead.", fatal: true } });
    expect(session.current.state.error).toEqual({ kind: "bot-error", detail: "Dead." });
  });

  it("mutes the microphone", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    act(() => session.current.setMuted(true));
    expect(call().fake.enableMic).toHaveBeenCalledWith(false);
    expect(session.current.state.muted).toBe(true);
  });

  it("ignores a call that is over", async () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    const first = call();
    await act(() => {
      session.current.end();
      return Promise.resolve();
    });
    act(() => session.current.start("sales", null));
    act(
      () =>
        void first.fake.emit(RTVIEvent.ServerMessage, { type: "voice-state", state: "speaking" }),
    );
    await act(() => {
      first.opened.reject(new Error("late"));
      return Promise.resolve();
    });
    expect(session.current.state).toMatchObject({ voiceState: "connecting", error: null });
  });

  it("leaves without hanging up when the page goes, since it may be loaded again", () => {
    const session = setUp();
    act(() => session.current.start("sales", null));
    window.dispatchEvent(new Event("pagehide"));
    expect(call().leave).toHaveBeenCalled();
    expect(call().close).not.toHaveBeenCalled();
  });
});
