/**
 * The microphone and the list of devices for Pipecat's transports, over getUserMedia alone.
 *
 * The stock manager fetches code from Daily's network at run time; this one works offline. The
 * bot's sound comes as a track that <BotAudio> plays: a remote one, or that of a MessageSound.
 */
import { DeviceError, type DeviceErrorType } from "@pipecat-ai/client-js";
import type { Participant, PipecatClientOptions, Tracks } from "@pipecat-ai/client-js";
import type { MediaManager } from "@pipecat-ai/transport-lib";
import { mediaDevices, MicrophoneError, openMicrophone } from "./microphone";
import type { MicrophoneProblem } from "./microphone";

type Device = MediaDeviceInfo | Record<string, never>;
type Callbacks = NonNullable<PipecatClientOptions["callbacks"]>;

const LOCAL: Participant = { id: "local", name: "", local: true };

const DEVICE_ERRORS: Record<MicrophoneProblem, DeviceErrorType> = {
  denied: "permissions",
  missing: "not-found",
  busy: "in-use",
  insecure: "undefined-mediadevices",
  unknown: "unknown",
};

/** What carries sound in messages, for a transport that has no way of its own for it. */
export interface MessageSound {
  /** Hand on what a microphone hears, in pieces of 16-bit samples. */
  open(track: MediaStreamTrack, send: (pcm: ArrayBuffer) => void): Promise<void>;
  /** Go on with another microphone. */
  listenTo(track: MediaStreamTrack): void;
  /** Play what the bot says after all that has come before. */
  play(pcm: Int16Array): void;
  /** Drop what has not sounded yet. */
  interrupt(): void;
  close(): void;
}

export interface MediaManagerOptions {
  /** The microphone to begin with; null for the browser's default. */
  microphoneId: string | null;
  /** Whether the call begins with a microphone; else it can be added. */
  withMicrophone: boolean;
  /** A call's microphone is now another track; hand it to the peer connection. */
  onMicrophoneReplaced: (track: MediaStreamTrack) => Promise<void>;
  /** The microphone went away in mid-call and no other could be opened. */
  onMicrophoneLost: (error: MicrophoneError) => void;
  /** One that was lost is there again. */
  onMicrophoneBack: () => void;
}

export class BrowserMediaManager implements MediaManager {
  readonly supportsScreenShare = false;
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;

  private callbacks: Callbacks | null = null;
  private enabled = true;
  private sound: MessageSound | null = null;
  private sendSound: (pcm: ArrayBuffer) => void = () => undefined;
  /** The call is over: no microphone is opened any more. */
  private released = false;
  /** The microphone that was chosen; null for the browser's default. */
  wantedId: string | null;
  private withMicrophone: boolean;
  private track: MediaStreamTrack | null = null;
  /** It was told that there is none any more. */
  private isLost = false;
  private microphone: Device = {};
  private speaker: Device = {};
  /** Counts releases, so that a microphone that opens after one is closed again. */
  private generation = 0;

  constructor(private readonly options: MediaManagerOptions) {
    this.wantedId = options.microphoneId;
    this.withMicrophone = options.withMicrophone;
  }

  setClientOptions(options: PipecatClientOptions): void {
    // A second transport gets the same client, whose user may have muted meanwhile.
    if (this.callbacks) return;
    this.callbacks = options.callbacks ?? {};
    this.enabled = options.enableMic ?? true;
  }

  /** Have the sound of the call carried in messages; it is closed with the microphone. */
  carryBy(sound: MessageSound): void {
    this.sound = sound;
  }

  /** Ask for the microphone, if the call has one. Throws MicrophoneError. */
  async initialize(): Promise<void> {
    if (!this.withMicrophone || this.track || this.released) return;
    mediaDevices()?.addEventListener("devicechange", this.onDeviceChange);
    await this.open();
  }

  async connect(): Promise<void> {
    await this.initialize();
    if (this.track) await this.sound?.open(this.track, this.sendSound);
  }

  /** Ask for a microphone in a call that began without one. Throws MicrophoneError. */
  async addMicrophone(): Promise<void> {
    if (this.track?.readyState === "live") return;
    if (this.track) {
      await this.open();
      await this.handOn();
      return;
    }
    this.withMicrophone = true;
    await this.connect();
    const { audio } = this.tracks().local;
    if (audio) await this.options.onMicrophoneReplaced(audio);
  }

  /** Release the microphone: the browser's recording sign goes out. */
  async disconnect(): Promise<void> {
    this.generation += 1;
    this.released = true;
    this.sound?.close();
    mediaDevices()?.removeEventListener("devicechange", this.onDeviceChange);
    this.dropTrack();
    return Promise.resolve();
  }

  tracks(): Tracks {
    return { local: this.track ? { audio: this.track } : {} };
  }

  get isMicEnabled(): boolean {
    return this.enabled;
  }

  enableMic(enable: boolean): void {
    this.enabled = enable;
    if (this.track) this.track.enabled = enable;
  }

  get selectedMic(): Device {
    return this.microphone;
  }

  async updateMic(micId: string): Promise<void> {
    this.wantedId = micId || null;
    await this.reopen();
  }

  async getAllMics(): Promise<MediaDeviceInfo[]> {
    return listDevices("audioinput");
  }

  async getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return listDevices("audiooutput");
  }

  get selectedSpeaker(): Device {
    return this.speaker;
  }

  updateSpeaker(speakerId: string): void {
    void this.getAllSpeakers().then((speakers) => {
      const chosen = speakers.find((device) => device.deviceId === speakerId);
      if (!chosen) return;
      this.speaker = chosen;
      this.callbacks?.onSpeakerUpdated?.(chosen);
    });
  }

  // A voice call has no camera and shares no screen.
  readonly selectedCam: Device = {};
  getAllCams = (): Promise<MediaDeviceInfo[]> => Promise.resolve([]);
  updateCam = (): void => undefined;
  enableCam = (): void => undefined;
  enableScreenShare = (): void => undefined;

  // Only transports that carry sound in messages use these.
  setUserAudioCallback(callback: (pcm: ArrayBuffer) => void): void {
    this.sendSound = callback;
  }

  userStartedSpeaking(): Promise<void> {
    this.sound?.interrupt();
    return Promise.resolve();
  }

  bufferBotAudio(data: ArrayBuffer | Int16Array): undefined {
    this.sound?.play(data instanceof Int16Array ? data : new Int16Array(data));
  }

  private async open(): Promise<void> {
    const { generation } = this;
    let track: MediaStreamTrack;
    try {
      track = await openMicrophone(this.wantedId);
    } catch (error) {
      if (error instanceof MicrophoneError) {
        this.callbacks?.onDeviceError?.(
          new DeviceError(["mic"], DEVICE_ERRORS[error.problem], error.message),
        );
      }
      throw error;
    }
    if (generation !== this.generation) {
      track.stop();
      return;
    }
    this.dropTrack();
    this.track = track;
    track.enabled = this.enabled;
    track.addEventListener("ended", this.onTrackEnded);
    this.callbacks?.onTrackStarted?.(track, LOCAL);
    await this.announceDevices(track);
  }

  private dropTrack(): void {
    const { track } = this;
    if (!track) return;
    this.track = null;
    track.removeEventListener("ended", this.onTrackEnded);
    track.stop();
    this.callbacks?.onTrackStopped?.(track, LOCAL);
  }

  /** Another microphone in mid-call. The old one keeps running if the new one cannot be had. */
  private async reopen(): Promise<void> {
    if (!this.track) return;
    try {
      await this.open();
    } catch (error) {
      if (error instanceof MicrophoneError && this.track.readyState === "ended") {
        this.isLost = true;
        this.options.onMicrophoneLost(error);
      }
      return;
    }
    await this.handOn();
  }

  /** Have the call go on with the microphone that was opened in the place of another. */
  private async handOn(): Promise<void> {
    if (!this.track) return;
    if (this.isLost) this.options.onMicrophoneBack();
    this.isLost = false;
    this.sound?.listenTo(this.track);
    await this.options.onMicrophoneReplaced(this.track);
  }

  /** Labels and ids are known only once the user has allowed the microphone. */
  private async announceDevices(track: MediaStreamTrack): Promise<void> {
    const microphones = await this.getAllMics();
    const { deviceId } = track.getSettings();
    this.microphone =
      microphones.find((device) => device.deviceId === deviceId) ?? microphones[0] ?? {};
    this.callbacks?.onAvailableMicsUpdated?.(microphones);
    this.callbacks?.onAvailableSpeakersUpdated?.(await this.getAllSpeakers());
    if (this.microphone.deviceId) this.callbacks?.onMicUpdated?.(this.microphone as MediaDeviceInfo);
  }

  private readonly onDeviceChange = (): void => {
    if (this.isLost) void this.reopen();
    else if (this.track) void this.announceDevices(this.track);
  };

  /** Unplugged, or taken away by the system: go on with the default. */
  private readonly onTrackEnded = (): void => {
    this.wantedId = null;
    void this.reopen();
  };
}

async function listDevices(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
  const devices = (await mediaDevices()?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === kind && device.deviceId !== "");
}
