import { beforeEach, describe, expect, it, vi } from "vitest";
import { Recorder } from "./recording";

class FakeRecorder extends EventTarget {
  static made: FakeRecorder[] = [];
  static formats = ["audio/webm;codecs=opus"];
  static isTypeSupported = (format: string) => FakeRecorder.formats.includes(format);
  state: RecordingState = "inactive";
  start = vi.fn(() => {
    this.state = "recording";
  });

  constructor(
    readonly stream: unknown,
    readonly options: MediaRecorderOptions,
  ) {
    super();
    FakeRecorder.made.push(this);
  }

  give(...bytes: number[]): void {
    const data = { arrayBuffer: () => Promise.resolve(Uint8Array.from(bytes).buffer) };
    this.dispatchEvent(Object.assign(new Event("dataavailable"), { data }));
  }

  /** As browsers do, with a last piece behind one that was due. */
  stop(): void {
    this.state = "inactive";
    this.give(8);
    this.give(9);
    this.dispatchEvent(new Event("stop"));
  }
}

const TRACK = "microphone" as unknown as MediaStreamTrack;

function last(): FakeRecorder {
  const recorder = FakeRecorder.made.at(-1);
  if (!recorder) throw new Error("nothing is recorded");
  return recorder;
}

function setUp() {
  const onPiece = vi.fn();
  const recorder = new Recorder(onPiece);
  const heard = () =>
    onPiece.mock.calls.map(([piece, isFinal]) => [[...(piece as Uint8Array)], isFinal as boolean]);
  return { recorder, heard };
}

describe("Recorder", () => {
  beforeEach(() => {
    FakeRecorder.made = [];
    FakeRecorder.formats = ["audio/webm;codecs=opus"];
    vi.stubGlobal("MediaRecorder", FakeRecorder);
    vi.stubGlobal("MediaStream", vi.fn());
  });

  it("gives pieces of 250 ms, of which one is the final one", async () => {
    const { recorder, heard } = setUp();
    recorder.start(TRACK);
    expect(last().start).toHaveBeenCalledWith(250);
    last().give(1);
    recorder.stop();
    await vi.waitFor(() => {
      expect(heard()).toEqual([
        [[1], false],
        [[8], false],
        [[9], false],
        [[], true],
      ]);
    });
  });

  it("ends an utterance before the next one begins", async () => {
    const { recorder, heard } = setUp();
    recorder.start(TRACK);
    recorder.start(TRACK);
    last().give(1);
    await vi.waitFor(() => expect(heard().at(-1)).toEqual([[1], false]));
    expect(heard().filter(([, isFinal]) => isFinal)).toHaveLength(1);
  });

  it("takes what the browser has: MP4 in Safari, or its own choice", () => {
    const { recorder } = setUp();
    FakeRecorder.formats = ["audio/mp4"];
    recorder.start(TRACK);
    expect(last().options.mimeType).toBe("audio/mp4");
    FakeRecorder.formats = [];
    recorder.start(TRACK);
    expect(last().options).not.toHaveProperty("mimeType");
  });
});
