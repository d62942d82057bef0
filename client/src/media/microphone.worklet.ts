/** Runs in the audio thread: hands on what the microphone hears, as 16-bit samples. */
import { PcmEncoder } from "./pcm";

// The audio thread's own globals, which TypeScript's library for pages lacks.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

const RATE_HZ = 16_000;
const PIECE_SAMPLES = 320;

registerProcessor(
  "microphone",
  class extends AudioWorkletProcessor {
    private readonly encoder = new PcmEncoder(sampleRate, RATE_HZ, PIECE_SAMPLES);

    process([input]: Float32Array[][]): boolean {
      const [channel] = input ?? [];
      if (channel) {
        this.encoder.encode(channel, ({ buffer }) => this.port.postMessage(buffer, [buffer]));
      }
      return true;
    }
  },
);
