import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { MicrophoneError } from "../media/microphone";
import type { Call, CallOptions } from "./call";
import type { ConversationEvent } from "./conversation";
import type { Protocol } from "./protocol";
import { REALTIME } from "./realtime";
import { SANDWICH } from "./sandwich";
import { useConversation } from "./useConversation";
import { VOICE_AGENT } from "./voiceAgent";

class FakeCall implements Call {
  botTrack = null;
  open = vi.fn(() => Promise.resolve());
  hold = vi.fn();
  letGo = vi.fn();
  listen = vi.fn();
  mute = vi.fn();
  close = vi.fn();

  constructor(readonly options: CallOptions) {}
}

let calls: FakeCall[];
let failure: Error | null;

function call(): FakeCall {
  const last = calls.at(-1);
  if (!last) throw new Error("there is no call");
  return last;
}

function setUp(protocol: Protocol) {
  const createCall = (options: CallOptions): Call => {
    const made = new FakeCall(options);
    if (failure) made.open.mockRejectedValue(failure);
    calls.push(made);
    return made;
  };
  return renderHook(() => useConversation(protocol, createCall));
}

async function started(protocol: Protocol) {
  const hook = setUp(protocol);
  await act(() => {
    hook.result.current.start("sales", null, null);
    return Promise.resolve();
  });
  tell({ type: "opened", isReady: true });
  return hook;
}

function tell(event: ConversationEvent): void {
  act(() => call().options.tell(event));
}

beforeEach(() => {
  calls = [];
  failure = null;
});

describe("useConversation", () => {
  it("starts one call, however often it is asked to", async () => {
    const { result } = await started(VOICE_AGENT);
    act(() => result.current.start("sales", null, null));
    expect(calls).toHaveLength(1);
    expect(call().open).toHaveBeenCalledWith("sales");
    expect(result.current.state.voiceState).toBe("listening");
  });

  it("tells the call when the button is held and let go, each once", async () => {
    const { result } = await started(VOICE_AGENT);
    act(() => result.current.letGo());
    act(() => result.current.hold());
    act(() => result.current.hold());
    expect(result.current.state.held).toBe(true);
    act(() => result.current.letGo());
    act(() => result.current.letGo());
    expect(call().hold).toHaveBeenCalledOnce();
    expect(call().letGo).toHaveBeenCalledOnce();
    expect(result.current.state).toMatchObject({ held: false, tooShort: true });
  });

  it("lets go of the button when the connection is lost", async () => {
    const { result } = await started(VOICE_AGENT);
    act(() => result.current.hold());
    tell({ type: "lost" });
    expect(call().letGo).toHaveBeenCalledOnce();
    tell({ type: "opened", isReady: true });
    act(() => result.current.letGo());
    expect(call().letGo).toHaveBeenCalledOnce();
    act(() => result.current.hold());
    expect(result.current.state.held).toBe(true);
  });

  it("sends all the time where the protocol wants that, and can be muted", async () => {
    const { result } = await started(REALTIME);
    expect(call().listen).toHaveBeenCalledExactlyOnceWith(true);
    expect(result.current.state.handsFree).toBe(true);
    act(() => result.current.setMuted(true));
    expect(call().mute).toHaveBeenCalledWith(true);
    expect(result.current.state.muted).toBe(true);
  });

  it("goes from the button to hands free and back", async () => {
    const { result } = await started(SANDWICH);
    expect(call().listen).not.toHaveBeenCalled();
    act(() => result.current.setHandsFree(true));
    act(() => result.current.setHandsFree(false));
    expect(call().listen.mock.calls).toEqual([[true], [false]]);
  });

  it("says what is wrong, and can be started again", async () => {
    failure = new MicrophoneError("denied");
    const { result } = await started(SANDWICH);
    expect(result.current.state.error).toEqual({ kind: "microphone-denied" });
    expect(call().close).toHaveBeenCalledOnce();
    failure = null;
    await act(() => {
      result.current.start("sales", null, null);
      return Promise.resolve();
    });
    expect(result.current.state).toMatchObject({ voiceState: "connecting", error: null });
  });

  it.each([
    ["ended", { type: "ended", by: "bot" }, "bot"],
    ["failed", { type: "failed", error: { kind: "connection-lost" } }, "error"],
  ] as const)("releases a call that has %s", async (_, event, endedBy) => {
    const { result } = await started(REALTIME);
    tell(event);
    expect(result.current.state).toMatchObject({ voiceState: "disconnected", endedBy });
    expect(call().close).toHaveBeenCalledOnce();
  });

  it("ignores a call that is over", async () => {
    const { result } = await started(REALTIME);
    act(() => result.current.end());
    tell({ type: "opened", isReady: true });
    expect(result.current.state).toMatchObject({ voiceState: "disconnected", endedBy: "user" });
  });

  it("hangs up when the page is left", async () => {
    const { unmount } = await started(REALTIME);
    unmount();
    expect(call().close).toHaveBeenCalledOnce();
  });
});
