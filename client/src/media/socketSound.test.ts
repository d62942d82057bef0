import { beforeEach, describe, expect, it, vi } from "vitest";
import { SocketSound } from "./socketSound";

vi.mock("./microphone.worklet?worker&url", () => ({ default: "microphone.js" }));

class FakeNode extends EventTarget {
  static made: FakeNode[] = [];
  readonly port: { onmessage: ((event: { data: ArrayBuffer }) => void) | null } = {
    onmessage: null,
  };
  connect = vi.fn();
  disconnect = vi.fn();
  start = vi.fn();
  stop = vi.fn();

  constructor(
    readonly context: FakeContext,
    readonly what: unknown,
  ) {
    super();
    FakeNode.made.push(this);
  }
}

class FakeContext {
  static made: FakeContext[] = [];
  /** As Firefox, which takes a microphone only at its own rate. */
  static strict = false;
  currentTime = 10;
  sources: FakeNode[] = [];
  readonly sampleRate: number;
  readonly audioWorklet = { addModule: vi.fn(() => Promise.resolve()) };
  resume = vi.fn(() => Promise.resolve());
  close = vi.fn(() => Promise.resolve());

  constructor(options?: AudioContextOptions) {
    this.sampleRate = options?.sampleRate ?? 48_000;
    FakeContext.made.push(this);
  }

  createMediaStreamDestination() {
    return { stream: { getAudioTracks: () => ["bot"] } };
  }

  createMediaStreamSource(stream: FakeStream) {
    if (FakeContext.strict && this.sampleRate !== 48_000) throw new DOMException("", "rate");
    const node = new FakeNode(this, stream.tracks[0]);
    this.sources.push(node);
    return node;
  }

  createBuffer(_channels: number, length: number, rate: number) {
    return { duration: length / rate, copyToChannel: vi.fn() };
  }
}

class FakeStream {
  constructor(readonly tracks: unknown[]) {}
}

const QUARTER = new Int16Array(6000);
const MICROPHONE = "microphone" as unknown as MediaStreamTrack;

function context(rate: number): FakeContext {
  const found = FakeContext.made.find(({ sampleRate }) => sampleRate === rate);
  if (!found) throw new Error(`there is no context at ${rate} Hz`);
  return found;
}

/** When each piece that was played begins. */
function starts(): unknown[] {
  return FakeNode.made.flatMap(({ start }) => start.mock.calls.flat() as unknown[]);
}

beforeEach(() => {
  FakeContext.made = [];
  FakeContext.strict = false;
  FakeNode.made = [];
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal("AudioWorkletNode", FakeNode);
  vi.stubGlobal("AudioBufferSourceNode", FakeNode);
  vi.stubGlobal("MediaStream", FakeStream);
});

describe("SocketSound", () => {
  it("plays what comes without a gap, a little later than it comes", () => {
    const sound = new SocketSound();
    sound.play(QUARTER);
    sound.play(QUARTER);
    expect(starts()).toEqual([10.1, 10.35]);
    expect(sound.botTrack).toBe("bot");
  });

  it("begins anew after a pause", () => {
    const sound = new SocketSound();
    sound.play(QUARTER);
    context(24_000).currentTime = 20;
    sound.play(QUARTER);
    expect(starts()).toEqual([10.1, 20.1]);
  });

  it("drops what has not sounded when it is interrupted", () => {
    const sound = new SocketSound();
    sound.play(QUARTER);
    sound.play(QUARTER);
    FakeNode.made[0]?.dispatchEvent(new Event("ended"));
    sound.interrupt();
    expect(FakeNode.made.map(({ stop }) => stop.mock.calls.length)).toEqual([0, 1]);
    sound.play(QUARTER);
    expect(starts()[2]).toBe(10.1);
  });

  it("takes no empty piece, which is no buffer to a browser", () => {
    new SocketSound().play(new Int16Array());
    expect(FakeNode.made).toEqual([]);
  });

  it("hands on what the microphone hears, at the rate that is sent", async () => {
    const send = vi.fn();
    const sound = new SocketSound();
    await sound.open(MICROPHONE, send);
    expect(context(16_000).audioWorklet.addModule).toHaveBeenCalledWith("microphone.js");
    const pcm = new ArrayBuffer(640);
    FakeNode.made.forEach(({ port }) => port.onmessage?.({ data: pcm }));
    expect(send).toHaveBeenCalledExactlyOnceWith(pcm);
    expect(sourceOf("microphone")?.connect).toHaveBeenCalledOnce();
  });

  it("takes the microphone's own rate where the browser insists", async () => {
    FakeContext.strict = true;
    await new SocketSound().open(MICROPHONE, vi.fn());
    expect(context(16_000).close).toHaveBeenCalledOnce();
    expect(context(48_000).sources).toHaveLength(1);
  });

  it("goes on with another microphone", async () => {
    const sound = new SocketSound();
    await sound.open(MICROPHONE, vi.fn());
    sound.listenTo("headset" as unknown as MediaStreamTrack);
    expect(sourceOf("microphone")?.disconnect).toHaveBeenCalledOnce();
    expect(sourceOf("headset")?.connect).toHaveBeenCalledOnce();
  });

  it("leaves nothing open", async () => {
    const send = vi.fn();
    const sound = new SocketSound();
    await sound.open(MICROPHONE, send);
    sound.close();
    sound.close();
    sound.play(QUARTER);
    expect(starts()).toEqual([]);
    expect(FakeContext.made.map(({ close }) => close.mock.calls.length)).toEqual([1, 1]);
    FakeNode.made.forEach(({ port }) => port.onmessage?.({ data: new ArrayBuffer(2) }));
    expect(send).not.toHaveBeenCalled();
  });

  it("does not listen when the call is over before it could", async () => {
    const sound = new SocketSound();
    const opening = sound.open(MICROPHONE, vi.fn());
    sound.close();
    await opening;
    expect(sourceOf("microphone")?.connect).not.toHaveBeenCalled();
  });
});

/** The last source that was made of a track: the first only tries whether that works. */
function sourceOf(track: string): FakeNode | undefined {
  return FakeNode.made.filter(({ what }) => what === track).at(-1);
}
