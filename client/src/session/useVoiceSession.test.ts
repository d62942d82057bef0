import { RTVIError, RTVIEvent, RTVIMessage, StartBotError } from "@pipecat-ai/client-js";
import { act, renderHook } from "@testing-library/react";
import { EventEmitter } from "events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MicrophoneError } from "../media/microphone";
import type { Call, CallOptions, VoiceClient } from "./call";
import { useVoiceSession } from "./useVoiceSession";

function deferred() {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}

const SALES = {
  server: "https://voice.example.org/",
  agent: "sales",
  mode: null,
  microphoneId: null,
  key: null,
  writing: false,
};

class FakeClient extends EventEmitter {
  onUnknownMessage: ((message: RTVIMessage) => void) | null = null;
  enableMic = vi.fn();
  sendText = vi.fn(() => Promise.resolve());
}

class FakeCall implements Call {
  readonly fake = new FakeClient();
  readonly client = this.fake as unknown as VoiceClient;
  opened = deferred();
  agent: string | null = null;
  mode: string | null = null;
  close = vi.fn(() => Promise.resolve());
  leave = vi.fn(() => Promise.resolve());
  isUnstable = vi.fn(() => false);
  canComeBack = vi.fn(() => true);
  stats = vi.fn(() => Promise.resolve(null));
  addMicrophone = vi.fn(() => Promise.resolve());
  botTrack = vi.fn(() => null);
  microphoneId = vi.fn((): string | null => this.options.microphoneId);

  constructor(readonly options: CallOptions) {}

  open(agent: string, mode: string | null): Promise<void> {
    this.agent = agent;
    this.mode = mode;
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

  afterEach(() => vi.useRealTimers());

  it("starts a call with the chosen agent, mode and microphone", () => {
    const session = setUp();
    const mode = "speech_to_speech";
    act(() => session.current.start({ ...SALES, mode, microphoneId: "mic-1" }));
    expect(call().agent).toBe("sales");
    expect(call().mode).toBe(mode);
    expect(call().options.microphoneId).toBe("mic-1");
    expect(session.current.state.voiceState).toBe("connecting");
  });

  it("starts one call, however often it is asked to", () => {
    const session = setUp();
    act(() => {
      session.current.start(SALES);
      session.current.start(SALES);
    });
    expect(calls).toHaveLength(1);
  });

  it("tells that the browser is asking for the microphone", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    emit(RTVIEvent.TransportStateChanged, "initializing");
    expect(session.current.state.askingForMicrophone).toBe(true);
    emit(RTVIEvent.TransportStateChanged, "initialized");
    expect(session.current.state.askingForMicrophone).toBe(false);
  });

  it("follows the voice state that the server publishes", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.ServerMessage, { type: "voice-state", state: "thinking" });
    expect(session.current.state.voiceState).toBe("thinking");
  });

  it("keeps what the server tells of the wait for an answer", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.TransportStateChanged, "disconnecting");
    emit(RTVIEvent.TransportStateChanged, "disconnected");
    expect(session.current.state).toMatchObject({ voiceState: "disconnected", endedBy: "bot" });
  });

  it("tells that the server is full, and can be started again", async () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    await act(async () => {
      call().opened.reject(new StartBotError("Full.", 429));
      await Promise.resolve();
    });
    expect(session.current.state.error).toEqual({ kind: "server-busy", detail: "Full." });
    expect(call().close).toHaveBeenCalledOnce();
    act(() => session.current.start(SALES));
    expect(calls).toHaveLength(2);
  });

  it("tells a lost connection from one that could not be made", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state.error).toBeNull();
    connect();
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state.comingBack).toBe(true);
  });

  it("waits longer each time that a connection breaks before the bot is there", async () => {
    vi.useFakeTimers();
    const session = setUp();
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.TransportStateChanged, "error");
    await act(() => vi.advanceTimersByTimeAsync(0));
    for (const pauseMs of [1000, 2000, 4000]) {
      const before = calls.length;
      emit(RTVIEvent.TransportStateChanged, "connected");
      emit(RTVIEvent.TransportStateChanged, "error");
      await act(() => vi.advanceTimersByTimeAsync(pauseMs - 1));
      expect(calls).toHaveLength(before);
      await act(() => vi.advanceTimersByTimeAsync(1));
      expect(calls).toHaveLength(before + 1);
    }
  });

  it("comes back with the microphone that was chosen meanwhile", async () => {
    vi.useFakeTimers();
    const session = setUp();
    act(() => session.current.start({ ...SALES, microphoneId: "built-in" }));
    connect();
    call().microphoneId.mockReturnValue("headset");
    emit(RTVIEvent.TransportStateChanged, "error");
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(call().options.microphoneId).toBe("headset");
  });

  it("waits for devices that are not found yet behind a lid that was shut", async () => {
    vi.useFakeTimers();
    const session = setUp();
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.TransportStateChanged, "error");
    await act(() => vi.advanceTimersByTimeAsync(0));
    await act(async () => {
      call().opened.reject(new MicrophoneError("missing"));
      await vi.advanceTimersByTimeAsync(1000);
    });
    expect(calls).toHaveLength(3);
    expect(session.current.state).toMatchObject({ comingBack: true, error: null });
  });

  it("comes back to a call whose connection was lost, with what was said", async () => {
    vi.useFakeTimers();
    const session = setUp();
    act(() => session.current.start({ ...SALES, microphoneId: "mic-1" }));
    connect();
    act(() => session.current.setMuted(true));
    emit(RTVIEvent.UserTranscript, { text: "Hello.", final: true });
    const first = call();
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state).toMatchObject({ voiceState: "connecting", comingBack: true });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(first.leave).toHaveBeenCalledOnce();
    expect(first.close).not.toHaveBeenCalled();

    expect(calls).toHaveLength(2);
    expect(call().options).toMatchObject({ microphoneId: "mic-1", muted: true });
    await act(async () => {
      call().opened.reject(new StartBotError("Failed to fetch", 500));
      await vi.advanceTimersByTimeAsync(500);
    });
    expect(calls).toHaveLength(2);
    act(() => void window.dispatchEvent(new Event("online")));
    expect(calls).toHaveLength(3);
    connect();
    expect(session.current.state).toMatchObject({ voiceState: "listening", comingBack: false });
    expect(session.current.state.transcript).toMatchObject([{ text: "Hello." }]);
  });

  it("gives up a session that is over, and one that another connection has", async () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    connect();
    call().canComeBack.mockReturnValue(false);
    emit(RTVIEvent.TransportStateChanged, "error");
    expect(session.current.state.error).toEqual({ kind: "session-taken" });

    vi.useFakeTimers();
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.TransportStateChanged, "error");
    await act(() => vi.advanceTimersByTimeAsync(0));
    await act(async () => {
      call().opened.reject(new RTVIError("over", 404));
      await vi.advanceTimersByTimeAsync(0);
    });
    expect(session.current.state.error).toEqual({ kind: "session-over" });
  });

  it("gives up after five minutes, and before when the user does", async () => {
    vi.useFakeTimers();
    const session = setUp();
    for (const isPatient of [true, false]) {
      act(() => session.current.start(SALES));
      connect();
      emit(RTVIEvent.TransportStateChanged, "error");
      const until = Date.now() + 320_000;
      while (isPatient && session.current.state.comingBack && Date.now() < until) {
        await act(async () => {
          await vi.advanceTimersByTimeAsync(8000);
          call().opened.reject(new StartBotError("Failed to fetch", 500));
          await vi.advanceTimersByTimeAsync(0);
        });
      }
      if (!isPatient) await act(async () => {
        session.current.end();
        await vi.advanceTimersByTimeAsync(0);
      });
      expect(session.current.state).toMatchObject({
        voiceState: "disconnected",
        endedBy: isPatient ? "error" : "user",
      });
      const tries = calls.length;
      await act(() => vi.advanceTimersByTimeAsync(60_000));
      expect(calls).toHaveLength(tries);
    }
  });

  it("goes on after an error of the bot that is not fatal, and ends after one that is", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    connect();
    emit(RTVIEvent.Error, { data: { error: "Slow.", fatal: false } });
    expect(session.current.state.notice).toEqual({ kind: "bot-problem", detail: "Slow." });
    expect(session.current.state.voiceState).toBe("listening");
    emit(RTVIEvent.Error, { data: { error: "Dead.", fatal: true } });
    expect(session.current.state.error).toEqual({ kind: "bot-error", detail: "Dead." });
  });

  it("mutes the microphone", () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    act(() => session.current.setMuted(true));
    expect(call().fake.enableMic).toHaveBeenCalledWith(false);
    expect(session.current.state.muted).toBe(true);
  });

  it("is held in writing without a microphone, and by voice when there is one", async () => {
    const session = setUp();
    act(() => session.current.start({ ...SALES, writing: true }));
    connect();
    expect(call().options).toMatchObject({ withMicrophone: false, muted: true });
    act(() => session.current.write("Hello."));
    const silently = { run_immediately: true, audio_response: false };
    expect(call().fake.sendText).toHaveBeenCalledWith("Hello.", silently);
    expect(session.current.state.transcript).toMatchObject([{ role: "user", text: "Hello." }]);

    call().addMicrophone.mockRejectedValueOnce(new MicrophoneError("denied"));
    await act(async () => {
      session.current.setWriting(false);
      await Promise.resolve();
    });
    expect(session.current.state).toMatchObject({
      writing: true,
      askingForMicrophone: false,
      notice: { kind: "microphone-denied" },
    });

    await act(async () => {
      session.current.setWriting(false);
      await Promise.resolve();
    });
    expect(session.current.state.writing).toBe(false);
    expect(call().fake.enableMic).toHaveBeenLastCalledWith(true);
    act(() => session.current.write("Hello."));
    const aloud = { run_immediately: true, audio_response: true };
    expect(call().fake.sendText).toHaveBeenLastCalledWith("Hello.", aloud);
    act(() => session.current.setWriting(true));
    expect(call().fake.enableMic).toHaveBeenLastCalledWith(false);
  });

  it("ignores a call that is over", async () => {
    const session = setUp();
    act(() => session.current.start(SALES));
    const first = call();
    await act(() => {
      session.current.end();
      return Promise.resolve();
    });
    act(() => session.current.start(SALES));
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
    act(() => session.current.start(SALES));
    window.dispatchEvent(new Event("pagehide"));
    expect(call().leave).toHaveBeenCalled();
    expect(call().close).not.toHaveBeenCalled();
  });
});
