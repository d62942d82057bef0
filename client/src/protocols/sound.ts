/** The sound of a call over the JSON protocols, both ways, in their messages. */
import { fromBase64, toBase64 } from "../media/base64";
import { Mp3Decoder } from "../media/mp3";
import { Recorder } from "../media/recording";
import { SocketSound } from "../media/socketSound";
import { Speaker } from "../media/speaker";

export interface Sound {
  /** What the bot says. */
  readonly botTrack: MediaStreamTrack | null;
  open(track: MediaStreamTrack): Promise<void>;
  /** Go on with another microphone. */
  listenTo(track: MediaStreamTrack): void;
  /** Send what the microphone hears, from now on. */
  talk(): void;
  /** Send no more: that was the utterance. */
  pause(): void;
  /** Play the next piece of the bot's voice, in Base64. */
  play(data: string): void;
  /** Drop what has not sounded yet. */
  interrupt(): void;
  close(): void;
}

export type Send = (message: object) => void;

/** PCM both ways. */
export class PcmSound implements Sound {
  private readonly sound = new SocketSound(PCM_HZ);
  private talking = false;

  constructor(private readonly send: Send) {}

  get botTrack(): MediaStreamTrack | null {
    return this.sound.botTrack;
  }

  open(track: MediaStreamTrack): Promise<void> {
    return this.sound.open(track, (pcm) => {
      if (this.talking) this.send({ type: "audio", data: toBase64(new Uint8Array(pcm)) });
    });
  }

  listenTo(track: MediaStreamTrack): void {
    this.sound.listenTo(track);
  }

  talk(): void {
    this.talking = true;
  }

  pause(): void {
    this.talking = false;
    this.send({ type: "end" });
  }

  play(data: string): void {
    this.sound.play(new Int16Array(fromBase64(data).buffer));
  }

  interrupt(): void {
    this.sound.interrupt();
  }

  close(): void {
    this.talking = false;
    this.sound.close();
  }
}

const PCM_HZ = 16_000;

/** Recordings of the browser's one way, MP3 the other. */
export class RecordedSound implements Sound {
  private readonly speaker = new Speaker(MP3_HZ, MP3_LEAD_SECS);
  private readonly recorder: Recorder;
  private decoder = this.makeDecoder();
  private before: Promise<void> = Promise.resolve();
  private track: MediaStreamTrack | null = null;

  constructor(send: Send) {
    this.recorder = new Recorder((piece, isFinal) =>
      send({ type: "audio_chunk", data: toBase64(piece), is_final: isFinal }),
    );
  }

  get botTrack(): MediaStreamTrack | null {
    return this.speaker.track;
  }

  open(track: MediaStreamTrack): Promise<void> {
    void this.speaker.context.resume();
    this.track = track;
    return Promise.resolve();
  }

  listenTo(track: MediaStreamTrack): void {
    this.track = track;
  }

  talk(): void {
    if (this.track?.readyState === "live") this.recorder.start(this.track);
  }

  pause(): void {
    this.recorder.stop();
  }

  play(data: string): void {
    const { decoder } = this;
    this.before = this.before.then(async () => {
      const sound = await decoder.decode(fromBase64(data)).catch(() => null);
      // What cannot be decoded is left out; what was interrupted meanwhile is not to be heard.
      if (sound && decoder === this.decoder) this.speaker.play(sound.samples, sound.rateHz);
    });
  }

  interrupt(): void {
    this.decoder = this.makeDecoder();
    this.speaker.interrupt();
  }

  close(): void {
    this.recorder.stop();
    this.decoder = this.makeDecoder();
    this.speaker.close();
  }

  private makeDecoder(): Mp3Decoder {
    return new Mp3Decoder((file) => this.speaker.context.decodeAudioData(file));
  }
}

/** What Pipecat's pipelines speak at unless they are told otherwise, and so the rate of its MP3. */
const MP3_HZ = 24_000;
/** Pieces of 256 ms come when they are full, so the next one is waited for longer than with PCM. */
const MP3_LEAD_SECS = 0.25;
