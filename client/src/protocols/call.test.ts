import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createCall } from "./call";
import { FakeSocket } from "./fakeSocket";
import type { Protocol } from "./protocol";
import { REALTIME } from "./realtime";
import { SANDWICH } from "./sandwich";
import type { Send } from "./sound";
import { VOICE_AGENT } from "./voiceAgent";

const track = Object.assign(new EventTarget(), {
  enabled: true,
  stop: vi.fn(),
  getSettings: () => ({}),
});

const devices = Object.assign(new EventTarget(), {
  getUserMedia: vi.fn(() => Promise.resolve({ getAudioTracks: () => [track] })),
  enumerateDevices: () => Promise.resolve([]),
});

const start = vi.fn<typeof fetch>();

function setUp(protocol: Protocol, key: string | null = null) {
  const sound = {
    botTrack: null,
    open: vi.fn(() => Promise.resolve()),
    listenTo: vi.fn(),
    talk: vi.fn(),
    pause: vi.fn(),
    play: vi.fn(),
    interrupt: vi.fn(),
    close: vi.fn(),
  };
  const tell = vi.fn();
  const onMicrophone = vi.fn();
  let send: Send = () => undefined;
  const call = createCall({ protocol, microphoneId: null, key, tell, onMicrophone }, (_, given) => {
    send = given;
    return sound;
  });
  return { call, sound, tell, onMicrophone, send: (message: object) => send(message) };
}

async function open(protocol: Protocol, key: string | null = null) {
  const made = setUp(protocol, key);
  await made.call.open("sales");
  FakeSocket.last.open();
  return made;
}

function answer(status: number, body: object): void {
  start.mockResolvedValue(new Response(JSON.stringify(body), { status }));
}

beforeEach(() => {
  FakeSocket.made = [];
  vi.clearAllMocks();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("MediaRecorder", vi.fn());
  vi.stubGlobal("navigator", { mediaDevices: devices });
  vi.stubGlobal("fetch", start);
  answer(200, { wsUrl: "ws://localhost/ws/x?token=secret" });
});

afterEach(() => vi.unstubAllGlobals());

describe("a call", () => {
  it("asks for the microphone, starts a session with the key, and comes by its address", async () => {
    const { sound, tell, onMicrophone } = await open(VOICE_AGENT, "parlante_key");
    expect(onMicrophone).toHaveBeenCalledWith(track);
    expect(sound.open).toHaveBeenCalledWith(track);
    const [url, request] = start.mock.calls[0] ?? [];
    expect(url).toMatch(/\/start$/);
    expect(request?.headers).toMatchObject({ "X-API-Key": "parlante_key" });
    expect(JSON.parse(request?.body as string)).toEqual({
      transport: "voice-agent",
      body: { bot: "sales" },
    });
    expect(FakeSocket.last.url).toBe("ws://localhost/ws/x?token=secret");
    expect(tell).toHaveBeenLastCalledWith({ type: "opened", isReady: false });
  });

  it("takes no line where there is no microphone", async () => {
    devices.getUserMedia.mockRejectedValueOnce(new DOMException("", "NotAllowedError"));
    await expect(setUp(SANDWICH).call.open("sales")).rejects.toMatchObject({ problem: "denied" });
    expect(start).not.toHaveBeenCalled();
  });

  it.each([
    [429, "all lines are busy"],
    [401, "a key is needed"],
  ])("fails with what the service says: %i", async (status, message) => {
    answer(status, { error: { message } });
    const opening = setUp(REALTIME).call.open("sales");
    await expect(opening).rejects.toMatchObject({ status, message });
    expect(FakeSocket.made).toEqual([]);
  });

  it("fails as unreachable where nobody answers", async () => {
    start.mockRejectedValue(new TypeError("Failed to fetch"));
    await expect(setUp(REALTIME).call.open("sales")).rejects.toMatchObject({ status: 502 });
  });

  it("opens no socket once it is hung up", async () => {
    const { call, sound } = setUp(REALTIME);
    const opening = call.open("sales");
    call.close();
    await opening;
    expect(FakeSocket.made).toEqual([]);
    expect(track.stop).toHaveBeenCalled();
    expect(sound.close).toHaveBeenCalled();
  });

  it("hangs up in the words of the protocol, and releases the microphone", async () => {
    const { call } = await open(REALTIME);
    call.close();
    expect(FakeSocket.last.sent).toEqual(['{"type":"stop"}']);
    expect(FakeSocket.last.closedWith).toBe(1000);
    expect(track.stop).toHaveBeenCalled();
  });

  it("sends what its sound makes of the microphone", async () => {
    const { send } = await open(SANDWICH);
    send({ type: "end" });
    expect(FakeSocket.last.sent).toEqual(['{"type":"end"}']);
  });
});

describe("the bot's voice", () => {
  const piece = (data: string) => ({ type: "audio_response", data });
  const status = (status: string) => ({ type: "status_update", status });

  it("falls silent when the user holds the button, and is heard again with the next answer", async () => {
    const { call, sound } = await open(VOICE_AGENT);
    FakeSocket.last.tell(status("generating_audio"));
    FakeSocket.last.tell(piece("one"));
    call.hold();
    expect(sound.interrupt).toHaveBeenCalled();
    expect(sound.talk).toHaveBeenCalled();
    FakeSocket.last.tell(piece("two"));
    call.letGo();
    FakeSocket.last.tell(piece("three"));
    FakeSocket.last.tell(status("idle"));
    FakeSocket.last.tell(status("generating_audio"));
    FakeSocket.last.tell(piece("four"));
    expect(sound.play.mock.calls).toEqual([["one"], ["four"]]);
    expect(sound.pause).toHaveBeenCalledOnce();
  });

  it("falls silent at once where the service says that it is interrupted", async () => {
    const { sound } = await open(REALTIME);
    FakeSocket.last.tell({ type: "audio", data: "one" });
    FakeSocket.last.tell({ type: "interrupted" });
    expect(sound.interrupt).toHaveBeenCalledOnce();
    FakeSocket.last.tell({ type: "audio", data: "two" });
    expect(sound.play.mock.calls).toEqual([["one"], ["two"]]);
  });

  it("falls silent where the connection is lost", async () => {
    const { sound, tell } = await open(REALTIME);
    FakeSocket.last.end(1012);
    expect(sound.interrupt).toHaveBeenCalledOnce();
    expect(tell).toHaveBeenLastCalledWith({ type: "lost" });
  });
});
