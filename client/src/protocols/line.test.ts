import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket } from "./fakeSocket";
import { Line } from "./line";
import { describeLineError } from "./problems";

const URL = "ws://localhost/ws/realtime?token=secret";

function setUp() {
  const listener = {
    onOpen: vi.fn(),
    onMessage: vi.fn(),
    onLost: vi.fn(),
    onEnded: vi.fn(),
    onFailed: vi.fn(),
  };
  return { line: new Line(URL, listener), ...listener };
}

/** One that has been up for a while. */
function setUpLasting() {
  const made = setUp();
  FakeSocket.last.open();
  vi.advanceTimersByTime(5_000);
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.made = [];
  vi.stubGlobal("WebSocket", FakeSocket);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a line", () => {
  it("carries messages both ways", () => {
    const { line, onOpen, onMessage } = setUp();
    line.send({ type: "end" });
    FakeSocket.last.open();
    line.send({ type: "stop" });
    FakeSocket.last.tell({ type: "done" });
    FakeSocket.last.tell({ type: "of another version" });
    expect(FakeSocket.last.sent).toEqual(['{"type":"stop"}']);
    expect(onOpen).toHaveBeenCalledOnce();
    expect(onMessage.mock.calls).toEqual([[{ type: "done" }]]);
  });

  it("leaves out what a slow network cannot carry", () => {
    const { line } = setUp();
    FakeSocket.last.open();
    FakeSocket.last.bufferedAmount = 600_000;
    line.send({ type: "audio" });
    expect(FakeSocket.last.sent).toEqual([]);
  });

  it("is hung up with the protocol's last message", () => {
    const { line, onEnded } = setUp();
    FakeSocket.last.open();
    line.close({ type: "end_session" });
    expect(FakeSocket.last.sent).toEqual(['{"type":"end_session"}']);
    expect(FakeSocket.last.closedWith).toBe(1000);
    FakeSocket.last.end(1000);
    expect(onEnded).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("tells that the service has hung up", () => {
    const { onEnded, onLost } = setUpLasting();
    FakeSocket.last.end(1000);
    expect(onEnded).toHaveBeenCalledOnce();
    expect(onLost).not.toHaveBeenCalled();
  });
});

describe("a lost line", () => {
  it.each([1006, 1001, 1012])("comes back by the same address after %i", (code) => {
    const { onLost, onOpen, onFailed } = setUpLasting();
    FakeSocket.last.end(code);
    expect(onLost).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(500);
    expect(FakeSocket.made).toHaveLength(2);
    expect(FakeSocket.last.url).toBe(URL);
    FakeSocket.last.open();
    expect(onOpen).toHaveBeenCalledTimes(2);
    expect(onFailed).not.toHaveBeenCalled();
  });

  it("is tried at once when the network is back", () => {
    setUpLasting();
    FakeSocket.last.end(1006);
    window.dispatchEvent(new Event("online"));
    expect(FakeSocket.made).toHaveLength(2);
    window.dispatchEvent(new Event("online"));
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("is tried more and more rarely, and given up after a minute", () => {
    const { onFailed } = setUpLasting();
    FakeSocket.last.end(1006);
    for (let attempt = 0; attempt < 60 && !onFailed.mock.calls.length; attempt += 1) {
      const made = FakeSocket.made.length;
      vi.advanceTimersByTime(5_000);
      if (FakeSocket.made.length > made) FakeSocket.last.end(1006);
    }
    expect(onFailed.mock.calls).toEqual([[{ kind: "connection-lost" }]]);
    expect(FakeSocket.made.length).toBeLessThan(20);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for no socket for ever", () => {
    const { onFailed } = setUp();
    vi.advanceTimersByTime(10_000);
    expect(onFailed.mock.calls).toEqual([[{ kind: "connection-failed" }]]);
  });

  it("waits while the service is busy, but for no longer than a minute", () => {
    const { onFailed } = setUpLasting();
    FakeSocket.last.end(1012);
    for (let attempt = 0; attempt < 100 && !onFailed.mock.calls.length; attempt += 1) {
      const made = FakeSocket.made.length;
      vi.advanceTimersByTime(1_000);
      if (FakeSocket.made.length === made) continue;
      // The service accepts a socket before it refuses it.
      FakeSocket.last.open();
      FakeSocket.last.tell({ type: "error", message: "all lines are busy", code: "X" });
      FakeSocket.last.end(1013);
    }
    expect(onFailed.mock.calls).toEqual([[{ kind: "server-busy", detail: "all lines are busy" }]]);
  });
});

describe("a refused line", () => {
  it.each([
    [1003, "X", "no-such-agent"],
    [1008, "X", "agent-not-for-this"],
    [1011, "X", "service-failed"],
    [1013, "SESSION_LIMIT_EXCEEDED", "server-busy"],
    [4003, "SESSION_NOT_FOUND", "session-over"],
    [4003, "UNAUTHENTICATED", "key-refused"],
    [4003, "ORIGIN_NOT_ALLOWED", "not-let-in"],
  ] as const)("with %i (%s) is told as %s, and not tried again", (code, told, kind) => {
    const { onFailed, onLost } = setUp();
    FakeSocket.last.open();
    FakeSocket.last.tell({ type: "error", message: "In words.", code: told });
    FakeSocket.last.end(code, "in short");
    expect(onFailed.mock.calls).toEqual([[{ kind, detail: "In words." }]]);
    expect(onLost).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
    expect(describeLineError({ kind }).title).not.toBe("");
  });

  it("says that the conversation goes on elsewhere, which is closed without an error", () => {
    const { onFailed } = setUpLasting();
    FakeSocket.last.end(4003, "this session goes on at another connection");
    expect(onFailed.mock.calls[0]?.[0]).toMatchObject({ kind: "taken-elsewhere" });
  });
});
