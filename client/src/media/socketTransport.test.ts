import { beforeEach, describe, expect, it, vi } from "vitest";
import { ProtobufFrameSerializer } from "@pipecat-ai/websocket-transport";
import { BrowserMediaManager } from "./mediaManager";
import { OrderedSerializer, SocketTransport } from "./socketTransport";

const sound = {
  botTrack: null,
  open: vi.fn(() => Promise.resolve()),
  listenTo: vi.fn(),
  play: vi.fn(),
  interrupt: vi.fn(),
  close: vi.fn(),
};

vi.mock("./socketSound", () => ({
  SocketSound: vi.fn(function () {
    return sound;
  }),
}));

const INTERRUPTION = [0x2a, 0];

/** jsdom's cannot be read as bytes. */
class FakeBlob {
  constructor(
    private readonly bytes: Uint8Array<ArrayBuffer>,
    private readonly delayed = false,
  ) {}

  slice(from: number, to: number): FakeBlob {
    return new FakeBlob(this.bytes.slice(from, to), this.delayed);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.delayed) await settle();
    return this.bytes.buffer;
  }
}

function blob(bytes: Uint8Array | number[], delayed = false): Blob {
  return new FakeBlob(Uint8Array.from(bytes), delayed) as unknown as Blob;
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 0;
  sent: Uint8Array[] = [];

  constructor(readonly url: string) {
    super();
    FakeSocket.made.push(this);
  }

  send(data: Uint8Array): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  hear(bytes: Uint8Array | number[]): void {
    this.dispatchEvent(new MessageEvent("message", { data: blob(bytes) }));
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

function socket(): FakeSocket {
  const last = FakeSocket.made.at(-1);
  if (!last) throw new Error("there is no socket");
  return last;
}

function setUp() {
  const callbacks = {
    onTransportStateChanged: vi.fn(),
    onBotDisconnected: vi.fn(),
    onError: vi.fn(),
  };
  const media = new BrowserMediaManager({
    microphoneId: null,
    withMicrophone: true,
    onMicrophoneReplaced: () => Promise.resolve(),
    onMicrophoneLost: vi.fn(),
    onMicrophoneBack: vi.fn(),
  });
  const connect = vi.spyOn(media, "connect").mockResolvedValue(undefined);
  const disconnect = vi.spyOn(media, "disconnect");
  const transport = new SocketTransport(media);
  const heard = vi.fn();
  transport.initialize({ transport, callbacks }, heard);
  return { transport, callbacks, heard, connect, disconnect };
}

async function connected() {
  const made = setUp();
  const connecting = made.transport.connect({ wsUrl: "ws://localhost/ws-client/1" });
  socket().open();
  await connecting;
  return made;
}

beforeEach(() => {
  FakeSocket.made = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("Blob", FakeBlob);
  vi.spyOn(console, "debug").mockReturnValue(undefined);
  vi.spyOn(console, "warn").mockReturnValue(undefined);
  vi.clearAllMocks();
});

describe("OrderedSerializer", () => {
  it("reads one message after the other, and tells of an interruption in its place", async () => {
    const order: string[] = [];
    const serializer = new OrderedSerializer(() => order.push("interruption"));
    const stock = new ProtobufFrameSerializer();
    const pcm = Int16Array.of(1, 2, 3);
    const slow = blob(stock.serializeAudio(pcm.buffer, 24_000, 1), true);
    const first = serializer.deserialize(slow).then((frame) => {
      order.push("sound");
      return frame;
    });
    await serializer.deserialize(blob(INTERRUPTION));
    expect(await first).toEqual({ type: "audio", audio: pcm });
    expect(order).toEqual(["sound", "interruption"]);
  });

  it("goes on after a message that it cannot read", async () => {
    const serializer = new OrderedSerializer(() => undefined);
    await expect(serializer.deserialize(blob([0xff]))).rejects.toThrow();
    expect(await serializer.deserialize(blob(INTERRUPTION))).toMatchObject({ type: "audio" });
  });
});

describe("SocketTransport", () => {
  it("plays what it hears, and falls silent at an interruption", async () => {
    await connected();
    const pcm = Int16Array.of(1, 2, 3);
    socket().hear(new ProtobufFrameSerializer().serializeAudio(pcm.buffer, 24_000, 1));
    await settle();
    expect(sound.play).toHaveBeenCalledExactlyOnceWith(pcm);
    expect(sound.interrupt).not.toHaveBeenCalled();
    socket().hear(INTERRUPTION);
    await settle();
    expect(sound.interrupt).toHaveBeenCalledOnce();
  });

  it("tells that the bot has hung up", async () => {
    const { callbacks } = await connected();
    socket().end(1000);
    expect(callbacks.onBotDisconnected).toHaveBeenCalledOnce();
    expect(callbacks.onError).not.toHaveBeenCalled();
  });

  it.each([1006, 1011, 1012])("has lost the connection when it ends with %i", async (code) => {
    const { callbacks } = await connected();
    socket().end(code);
    expect(callbacks.onTransportStateChanged).toHaveBeenLastCalledWith("error");
    expect(callbacks.onBotDisconnected).not.toHaveBeenCalled();
    expect(callbacks.onError).not.toHaveBeenCalled();
  });

  it("fails with the server's words when it is refused", async () => {
    const { transport, callbacks, connect } = setUp();
    connect.mockImplementation(settle);
    const connecting = transport.connect({ wsUrl: "ws://localhost/ws-client/1" });
    socket().open();
    socket().end(4003, "there is no such session");
    await expect(connecting).rejects.toThrow("there is no such session");
    expect(callbacks.onTransportStateChanged).not.toHaveBeenCalledWith("connected");
  });

  it("closes a socket that opens after the user has hung up", async () => {
    const { transport, disconnect } = setUp();
    const connecting = transport.connect({ wsUrl: "ws://localhost/ws-client/1" });
    await transport.disconnect();
    disconnect.mockClear();
    socket().open();
    await connecting;
    expect(socket().readyState).toBe(3);
    expect(disconnect).toHaveBeenCalledOnce();
    expect(transport.state).toBe("disconnected");
  });
});
