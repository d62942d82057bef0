/** The sound of a call that goes in messages: out of the microphone, and into a track to play. */
import microphoneWorklet from "./microphone.worklet?worker&url";
import type { MessageSound } from "./mediaManager";
import { decodePcm } from "./pcm";

const MICROPHONE_HZ = 16_000;
/** What Pipecat's pipelines speak at unless they are told otherwise. */
const BOT_HZ = 24_000;
/** The server sends sound as fast as it is played, so this much may come late. */
const LEAD_SECS = 0.1;

export class SocketSound implements MessageSound {
  private readonly speaker = new AudioContext({ sampleRate: BOT_HZ });
  private readonly bot = this.speaker.createMediaStreamDestination();
  private readonly playing = new Set<AudioBufferSourceNode>();
  /** When the last of what has come will have sounded, on the speaker's clock. */
  private until = 0;
  private microphone: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private worklet: AudioWorkletNode | null = null;
  private closed = false;

  /** What the bot says, silence between included. */
  get botTrack(): MediaStreamTrack | null {
    return this.bot.stream.getAudioTracks()[0] ?? null;
  }

  async open(track: MediaStreamTrack, send: (pcm: ArrayBuffer) => void): Promise<void> {
    const context = microphoneContext(track);
    this.microphone = context;
    void this.speaker.resume();
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
    if (this.closed || pcm.length === 0) return;
    const buffer = this.speaker.createBuffer(1, pcm.length, BOT_HZ);
    buffer.copyToChannel(decodePcm(pcm), 0);
    const node = new AudioBufferSourceNode(this.speaker, { buffer });
    node.connect(this.bot);
    node.addEventListener("ended", () => this.playing.delete(node));
    const now = this.speaker.currentTime;
    const from = this.until > now ? this.until : now + LEAD_SECS;
    node.start(from);
    this.until = from + buffer.duration;
    this.playing.add(node);
  }

  interrupt(): void {
    this.playing.forEach((node) => node.stop());
    this.playing.clear();
    this.until = 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.interrupt();
    if (this.worklet) this.worklet.port.onmessage = null;
    this.source?.disconnect();
    void this.microphone?.close();
    void this.speaker.close();
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
