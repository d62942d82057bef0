import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { BrowserMediaManager } from "./mediaManager";
import { MicrophoneError, classifyMicrophoneError } from "./microphone";
import { VoiceTransport } from "./transport";

class FakeTrack extends EventTarget {
  readonly kind = "audio";
  enabled = true;
  readyState: MediaStreamTrackState = "live";

  constructor(readonly deviceId: string) {
    super();
  }

  getSettings(): MediaTrackSettings {
    return { deviceId: this.deviceId };
  }

  stop(): void {
    this.readyState = "ended";
  }

  /** As when it is unplugged. */
  unplug(): void {
    this.stop();
    this.dispatchEvent(new Event("ended"));
  }
}

function device(kind: MediaDeviceKind, deviceId: string): MediaDeviceInfo {
  return { kind, deviceId, label: deviceId, groupId: "", toJSON: () => ({}) };
}

class FakeDevices extends EventTarget {
  opened: FakeTrack[] = [];
  failure: string | null = null;
  list = [
    device("audioinput", "built-in"),
    device("audioinput", "headset"),
    device("audiooutput", "speaker"),
    device("videoinput", "camera"),
  ];

  getUserMedia = vi.fn(({ audio }: { audio: MediaTrackConstraints }) => {
    if (this.failure) return Promise.reject(new DOMException("", this.failure));
    const wanted = (audio.deviceId as { exact?: string } | undefined)?.exact ?? "built-in";
    if (!this.list.some((known) => known.deviceId === wanted)) {
      return Promise.reject(new DOMException("", "OverconstrainedError"));
    }
    const track = new FakeTrack(wanted);
    this.opened.push(track);
    return Promise.resolve({ getAudioTracks: () => [track] });
  });

  enumerateDevices = () => Promise.resolve(this.list);
}

let devices: FakeDevices;
const back = vi.fn();
const replaced = vi.fn(() => Promise.resolve());
const lost = vi.fn();

function setUp(microphoneId: string | null = null, withMicrophone = true) {
  const callbacks = {
    onTrackStarted: vi.fn(),
    onTrackStopped: vi.fn(),
    onMicUpdated: vi.fn(),
    onAvailableMicsUpdated: vi.fn(),
    onDeviceError: vi.fn(),
  };
  const media = new BrowserMediaManager({
    microphoneId,
    withMicrophone,
    onMicrophoneReplaced: replaced,
    onMicrophoneLost: lost,
    onMicrophoneBack: back,
  });
  media.setClientOptions({ transport: {} as never, callbacks });
  return { media, callbacks };
}

/** Let promises that nobody waits for run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

beforeEach(() => {
  devices = new FakeDevices();
  vi.stubGlobal("navigator", { mediaDevices: devices });
  vi.clearAllMocks();
});

describe("BrowserMediaManager", () => {
  it("opens the microphone with the browser's voice processing", async () => {
    const { media, callbacks } = setUp();
    await media.initialize();
    expect(devices.getUserMedia.mock.calls[0]?.[0].audio).toMatchObject({
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    });
    expect(media.tracks().local.audio).toBe(devices.opened[0]);
    expect(callbacks.onTrackStarted).toHaveBeenCalledOnce();
    expect(callbacks.onMicUpdated).toHaveBeenCalledWith(devices.list[0]);
  });

  it("opens it once", async () => {
    const { media } = setUp();
    await media.initialize();
    await media.connect();
    expect(devices.opened).toHaveLength(1);
  });

  it("lists microphones and speakers", async () => {
    const { media } = setUp();
    expect((await media.getAllMics()).map((mic) => mic.deviceId)).toEqual(["built-in", "headset"]);
    expect((await media.getAllSpeakers()).map((out) => out.deviceId)).toEqual(["speaker"]);
    expect(await media.getAllCams()).toEqual([]);
  });

  it("mutes the track, also one that is opened later", async () => {
    const { media } = setUp();
    media.enableMic(false);
    await media.initialize();
    expect(devices.opened[0]?.enabled).toBe(false);
    media.enableMic(true);
    expect(devices.opened[0]?.enabled).toBe(true);
    expect(media.isMicEnabled).toBe(true);
  });

  it("stops the microphone on disconnect", async () => {
    const { media } = setUp();
    await media.initialize();
    await media.disconnect();
    expect(devices.opened[0]?.readyState).toBe("ended");
    expect(media.tracks().local).toEqual({});
  });

  it("stops a microphone that the user allows after hanging up", async () => {
    const { media } = setUp();
    const opening = media.initialize();
    await media.disconnect();
    await opening;
    expect(devices.opened[0]?.readyState).toBe("ended");
    expect(media.tracks().local).toEqual({});
  });

  it("switches to another microphone in mid-call and keeps it muted", async () => {
    const { media, callbacks } = setUp();
    await media.initialize();
    media.enableMic(false);
    await media.updateMic("headset");
    const [before, after] = devices.opened;
    expect(before?.readyState).toBe("ended");
    expect(after).toMatchObject({ deviceId: "headset", enabled: false, readyState: "live" });
    expect(replaced).toHaveBeenCalledWith(after);
    expect(callbacks.onMicUpdated).toHaveBeenLastCalledWith(devices.list[1]);
  });

  it("keeps the old microphone when the new one is busy", async () => {
    const { media } = setUp();
    await media.initialize();
    devices.failure = "NotReadableError";
    await media.updateMic("headset");
    expect(media.tracks().local.audio).toBe(devices.opened[0]);
    expect(devices.opened[0]?.readyState).toBe("live");
    expect(lost).not.toHaveBeenCalled();
  });

  it("falls back to the default when the remembered microphone is gone", async () => {
    const { media } = setUp("left-at-home");
    await media.initialize();
    expect(devices.opened[0]?.deviceId).toBe("built-in");
  });

  it("goes on with the default when the microphone is unplugged", async () => {
    const { media } = setUp("headset");
    await media.initialize();
    devices.opened[0]?.unplug();
    await settle();
    expect(replaced).toHaveBeenCalledWith(devices.opened[1]);
    expect(devices.opened[1]?.deviceId).toBe("built-in");
  });

  it("tells when no microphone is left", async () => {
    const { media } = setUp();
    await media.initialize();
    devices.failure = "NotFoundError";
    devices.opened[0]?.unplug();
    await settle();
    expect(lost).toHaveBeenCalledWith(expect.objectContaining({ problem: "missing" }));
  });

  it("goes on with a microphone that is plugged in again", async () => {
    const { media } = setUp();
    await media.initialize();
    devices.failure = "NotFoundError";
    devices.opened[0]?.unplug();
    await settle();
    devices.failure = null;
    devices.dispatchEvent(new Event("devicechange"));
    await settle();
    expect(replaced).toHaveBeenCalledWith(devices.opened[1]);
    expect(back).toHaveBeenCalledOnce();
    devices.dispatchEvent(new Event("devicechange"));
    await settle();
    expect(devices.opened).toHaveLength(2);
  });

  it("asks for another in the place of one that is gone", async () => {
    const { media } = setUp();
    await media.initialize();
    devices.failure = "NotFoundError";
    devices.opened[0]?.unplug();
    await settle();
    await expect(media.addMicrophone()).rejects.toThrow(MicrophoneError);
    devices.failure = null;
    await media.addMicrophone();
    expect(replaced).toHaveBeenCalledWith(devices.opened[1]);
  });

  it("tells the client of a new device", async () => {
    const { media, callbacks } = setUp();
    await media.initialize();
    devices.list = [...devices.list, device("audioinput", "usb")];
    devices.dispatchEvent(new Event("devicechange"));
    await settle();
    expect(callbacks.onAvailableMicsUpdated).toHaveBeenLastCalledWith(
      devices.list.filter((known) => known.kind === "audioinput"),
    );
  });

  it("throws what is wrong, and tells the client", async () => {
    const { media, callbacks } = setUp();
    devices.failure = "NotAllowedError";
    await expect(media.initialize()).rejects.toMatchObject({ problem: "denied" });
    expect(callbacks.onDeviceError).toHaveBeenCalledWith(
      expect.objectContaining({ type: "permissions", devices: ["mic"] }),
    );
  });

  it("throws that the page is insecure when the browser has no media devices", async () => {
    vi.stubGlobal("navigator", {});
    await expect(setUp().media.initialize()).rejects.toMatchObject({ problem: "insecure" });
  });
});

describe("BrowserMediaManager with sound in messages", () => {
  function setUpWithSound() {
    const made = setUp();
    const sound = {
      open: vi.fn(() => Promise.resolve()),
      listenTo: vi.fn(),
      play: vi.fn(),
      interrupt: vi.fn(),
      close: vi.fn(),
    };
    made.media.carryBy(sound);
    return { ...made, sound };
  }

  it("hands the microphone on once there is a connection", async () => {
    const { media, sound } = setUpWithSound();
    const send = vi.fn();
    media.setUserAudioCallback(send);
    await media.initialize();
    expect(sound.open).not.toHaveBeenCalled();
    await media.connect();
    expect(sound.open).toHaveBeenCalledExactlyOnceWith(devices.opened[0], send);
  });

  it("goes on with another microphone", async () => {
    const { media, sound } = setUpWithSound();
    await media.connect();
    await media.updateMic("headset");
    expect(sound.listenTo).toHaveBeenCalledExactlyOnceWith(devices.opened[1]);
  });

  it("plays and interrupts the bot", async () => {
    const { media, sound } = setUpWithSound();
    const pcm = Int16Array.of(1, 2);
    media.bufferBotAudio(pcm);
    media.bufferBotAudio(pcm.buffer);
    expect(sound.play.mock.calls).toEqual([[pcm], [pcm]]);
    await media.userStartedSpeaking();
    expect(sound.interrupt).toHaveBeenCalledOnce();
  });

  it("closes the sound, and opens no microphone after", async () => {
    const { media, sound } = setUpWithSound();
    await media.disconnect();
    expect(sound.close).toHaveBeenCalledOnce();
    await media.connect();
    expect(devices.opened).toEqual([]);
    expect(sound.open).not.toHaveBeenCalled();
  });

  it("stays muted when a second transport takes the call over", async () => {
    const { media } = setUpWithSound();
    media.enableMic(false);
    media.setClientOptions({ transport: {} as never, enableMic: true });
    await media.connect();
    expect(media.isMicEnabled).toBe(false);
    expect(devices.opened[0]?.enabled).toBe(false);
  });
});

describe("the browser's error", () => {
  it.each([
    ["NotAllowedError", "denied"],
    ["SecurityError", "denied"],
    ["NotFoundError", "missing"],
    ["OverconstrainedError", "missing"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
    ["TypeError", "unknown"],
  ])("%s means %s", (name, problem) => {
    const error = classifyMicrophoneError(new DOMException("", name));
    expect(error).toBeInstanceOf(MicrophoneError);
    expect(error.problem).toBe(problem);
  });
});

describe("VoiceTransport", () => {
  it.each([
    ["connected", "open", false],
    ["completed", "open", false],
    ["disconnected", "open", true],
    ["failed", "open", true],
    ["checking", "connecting", true],
    ["connected", "connecting", true],
  ])("with ICE %s and its channel %s: unstable is %s", (iceConnectionState, readyState, told) => {
    const { media } = setUp();
    const transport = new VoiceTransport({ mediaManager: media });
    Object.assign(transport, { pc: { iceConnectionState }, dc: { readyState } });
    expect(transport.isUnstable).toBe(told);
  });

  it("finds the private parts of the stock class that it relies on", () => {
    const { media } = setUp();
    const stock = new SmallWebRTCTransport({ mediaManager: media });
    expect(Object.keys(stock)).toEqual(expect.arrayContaining(["pc", "dc", "_connectFailed"]));
    expect(stock).toHaveProperty("closePeerConnection");
  });

  it("leaves the microphone running when it closes a connection", () => {
    const { media } = setUp();
    const transport = new VoiceTransport({ mediaManager: media });
    const track = new FakeTrack("built-in");
    const pc = { close: vi.fn(), getSenders: () => [{ track }] };
    transport.closePeerConnection(pc as unknown as RTCPeerConnection);
    expect(pc.close).toHaveBeenCalledOnce();
    expect(track.readyState).toBe("live");
  });
});

describe("a call that begins in writing", () => {
  it("asks for no microphone until one is added", async () => {
    const { media, callbacks } = setUp(null, false);
    await media.initialize();
    await media.connect();
    expect(devices.getUserMedia).not.toHaveBeenCalled();
    expect(media.tracks()).toEqual({ local: {} });

    await media.addMicrophone();
    await media.addMicrophone();
    expect(devices.opened).toHaveLength(1);
    expect(replaced).toHaveBeenCalledExactlyOnceWith(devices.opened[0]);
    expect(callbacks.onTrackStarted).toHaveBeenCalledOnce();
  });

  it("can ask again for one that was refused", async () => {
    const { media } = setUp(null, false);
    devices.failure = "NotAllowedError";
    await expect(media.addMicrophone()).rejects.toThrow(MicrophoneError);
    expect(replaced).not.toHaveBeenCalled();
    devices.failure = null;
    await media.addMicrophone();
    expect(media.tracks().local.audio).toBe(devices.opened[0]);
  });
});
