/** One call over a JSON protocol: its microphone, session, socket and sound, made anew each time. */
import { BrowserMediaManager } from "../media/mediaManager";
import { canRecord } from "../media/recording";
import { startSocketSession } from "../session/api";
import type { ConversationEvent } from "./conversation";
import { Line } from "./line";
import type { ServerMessage } from "./messages";
import type { Protocol } from "./protocol";
import { PcmSound, RecordedSound } from "./sound";
import type { Send, Sound } from "./sound";

const START_TIMEOUT_MS = 30_000;

export interface CallOptions {
  protocol: Protocol;
  microphoneId: string | null;
  /** What lets into the service; null where nothing is needed. */
  key: string | null;
  /** Told of what happens. */
  tell: (event: ConversationEvent) => void;
  /** Told of each microphone, of which there may be another in mid-call. */
  onMicrophone: (track: MediaStreamTrack) => void;
}

export interface Call {
  /** What the bot says, silence between included. */
  readonly botTrack: MediaStreamTrack | null;
  /**
   * Ask for the microphone, have the server start `agent`, and connect.
   *
   * @throws MicrophoneError, StartBotError
   */
  open(agent: string): Promise<void>;
  /** The user speaks, and is not to hear the bot any more. */
  hold(): void;
  /** The user has spoken. */
  letGo(): void;
  /** Send what the microphone hears, all the time or no more. */
  listen(on: boolean): void;
  mute(muted: boolean): void;
  /** Hang up, in whatever stage the call is, and release the microphone. */
  close(): void;
}

export type CreateCall = (options: CallOptions) => Call;

export class CannotRecordError extends Error {
  override name = "CannotRecordError";
}

export function createCall(options: CallOptions, makeSound = makeRealSound): Call {
  const { protocol, tell } = options;
  const abort = new AbortController();
  let line: Line | null = null;
  /** What comes of the answer that was spoken over is not to be heard. */
  let hushed = false;
  // Made at once: browsers want sound to begin where the user has clicked.
  const sound = makeSound(protocol, (message) => line?.send(message));
  const media: BrowserMediaManager = new BrowserMediaManager({
    microphoneId: options.microphoneId,
    withMicrophone: true,
    onMicrophoneReplaced: (track) => {
      sound.listenTo(track);
      options.onMicrophone(track);
      return Promise.resolve();
    },
    onMicrophoneLost: () => tell({ type: "notice", notice: { kind: "microphone-lost" } }),
    onMicrophoneBack: () => tell({ type: "notice", notice: null }),
  });

  function hear(message: ServerMessage): void {
    const sounding = protocol.sounding(message);
    if (sounding === "another") hushed = false;
    else if (sounding === "silence") sound.interrupt();
    else if (sounding && !hushed) sound.play(sounding.play);
    tell({ type: "message", message, at: Date.now() });
  }

  return {
    get botTrack() {
      return sound.botTrack;
    },

    async open(agent) {
      if (protocol.sound === "recorded" && !canRecord()) throw new CannotRecordError();
      tell({ type: "asking-for-microphone", asking: true });
      await media.initialize();
      tell({ type: "asking-for-microphone", asking: false });
      const track = media.tracks().local.audio;
      // Without one it was hung up meanwhile.
      if (!track) return;
      options.onMicrophone(track);
      await sound.open(track);
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
      const url = await startSocketSession(protocol.transport, agent, options.key, signal);
      if (abort.signal.aborted) return;
      line = new Line(url, {
        onOpen: () => tell({ type: "opened", isReady: !protocol.saysHello }),
        onMessage: hear,
        onLost: () => {
          sound.interrupt();
          hushed = false;
          tell({ type: "lost" });
        },
        onEnded: () => tell({ type: "ended", by: "bot" }),
        onFailed: (error) => tell({ type: "failed", error }),
      });
    },

    hold() {
      hushed = true;
      sound.interrupt();
      sound.talk();
    },

    letGo: () => sound.pause(),

    listen(on) {
      if (on) sound.talk();
      else sound.pause();
    },

    mute: (muted) => media.enableMic(!muted),

    close() {
      abort.abort();
      line?.close(protocol.goodbye);
      sound.close();
      void media.disconnect();
    },
  };
}

function makeRealSound(protocol: Protocol, send: Send): Sound {
  return protocol.sound === "recorded" ? new RecordedSound(send) : new PcmSound(send);
}
