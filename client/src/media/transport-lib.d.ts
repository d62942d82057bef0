/**
 * small-webrtc-transport takes a MediaManager, but neither exports that class nor publishes the
 * package that declares it. This is its shape in version 1.10.
 */
declare module "@pipecat-ai/transport-lib" {
  import type { PipecatClientOptions, Tracks } from "@pipecat-ai/client-js";

  type OptionalDevice = MediaDeviceInfo | Record<string, never>;

  export interface MediaManager {
    setUserAudioCallback(callback: (data: ArrayBuffer) => void): void;
    setClientOptions(options: PipecatClientOptions, override?: boolean): void;
    initialize(): Promise<void>;
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    userStartedSpeaking(): Promise<unknown>;
    bufferBotAudio(data: ArrayBuffer | Int16Array, id?: string): Int16Array | undefined;
    getAllMics(): Promise<MediaDeviceInfo[]>;
    getAllCams(): Promise<MediaDeviceInfo[]>;
    getAllSpeakers(): Promise<MediaDeviceInfo[]>;
    updateMic(micId: string): Promise<void>;
    updateCam(camId: string): void;
    updateSpeaker(speakerId: string): void;
    readonly selectedMic: OptionalDevice;
    readonly selectedCam: OptionalDevice;
    readonly selectedSpeaker: OptionalDevice;
    enableMic(enable: boolean): void;
    enableCam(enable: boolean): void;
    enableScreenShare(enable: boolean): void;
    readonly isCamEnabled: boolean;
    readonly isMicEnabled: boolean;
    readonly isSharingScreen: boolean;
    readonly supportsScreenShare: boolean;
    tracks(): Tracks;
  }

  export const WavMediaManager: new () => MediaManager;
  export const DailyMediaManager: new () => MediaManager;
}
