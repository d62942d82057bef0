/** The sound of a call that goes in messages: out of the microphone, and into a track to play. */
import microphoneWorklet from "./microphone.worklet?worker&url";
import type { MessageSound } from "./mediaManager";
import { decodePcm } from "./pcm";
import { Speaker } from "./speaker";

const MICROPHONE_HZ = 16_000;
/** What Pipecat's pipelines speak at unless they are told otherwise. */
const BOT_HZ = 24_000;
/** The server sends sound as fast as it is played, so this much may come late. */
const LEAD_SECS = 0.1;

export class SocketSound implements MessageSound {
  private readonly speaker: Speaker;
  private microphone: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private worklet: AudioWorkletNode | null = null;
  private closed = false;

  /** @param botHz rate at which the bot speaks */
  constructor(private readonly botHz = BOT_HZ) {
    this.speaker = new Speaker(botHz, LEAD_SECS);
  }

  /** What the bot says, silence between included. */
  get botTrack(): MediaStreamTrack | null {
    return this.speaker.track;
  }

  async open(track: MediaStreamTrack, send: (pcm: ArrayBuffer) => void): Promise<void> {
    const context = microphoneContext(track);
    this.microphone = context;
    void this.speaker.context.resume();
    void context.resume();
    await context.audioWorklet.addModule(microphoneWorklet);
    if (this.closed) return;
    this.worklet = new AudioWorkletNode(context, "microphone", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.worklet.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => send(data);
    this.listenTo(track);
  }

  listenTo(track: MediaStreamTrack): void {
    if (!this.microphone || !this.worklet) return;
    this.source?.disconnect();
    this.source = this.microphone.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.worklet);
  }

  play(pcm: Int16Array): void {
    this.speaker.play(decodePcm(pcm), this.botHz);
  }

  interrupt(): void {
    this.speaker.interrupt();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.worklet) this.worklet.port.onmessage = null;
    this.source?.disconnect();
    void this.microphone?.close();
    this.speaker.close();
  }
}

/** A context at the rate that is sent; in Firefox it has to be the rate of the microphone. */
function microphoneContext(track: MediaStreamTrack): AudioContext {
  const context = new AudioContext({ sampleRate: MICROPHONE_HZ });
  try {
    context.createMediaStreamSource(new MediaStream([track])).disconnect();
    return context;
  } catch {
    void context.close();
    return new AudioContext();
  }
}
