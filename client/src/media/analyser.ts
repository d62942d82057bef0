/** Listening to a track in order to draw it. */

let shared: AudioContext | null = null;

function audioContext(): AudioContext | null {
  if (typeof AudioContext === "undefined") return null;
  shared ??= new AudioContext({ latencyHint: "interactive" });
  if (shared.state === "suspended") void shared.resume();
  return shared;
}

/** A track's waveform and spectrum, read as often as something is drawn. */
export interface TrackAnalyser {
  /** Fill `out` with the last samples, each -1..1. */
  waveform(out: Float32Array<ArrayBuffer>): void;
  /** Fill `out` with the strength of the voice bands from low to high, each 0..1. */
  bands(out: Float32Array): void;
  close(): void;
}

const LOWEST_HZ = 90;
const HIGHEST_HZ = 5500;

/** Listen to `track`; null where the browser cannot. The caller closes it. */
export function analyseTrack(track: MediaStreamTrack): TrackAnalyser | null {
  const context = audioContext();
  if (!context) return null;
  let source: MediaStreamAudioSourceNode;
  try {
    source = context.createMediaStreamSource(new MediaStream([track]));
  } catch {
    // Firefox takes no track of another rate than its own.
    return null;
  }
  const node = context.createAnalyser();
  node.fftSize = 1024;
  node.smoothingTimeConstant = 0.7;
  node.minDecibels = -78;
  node.maxDecibels = -22;
  source.connect(node);
  const spectrum = new Uint8Array(node.frequencyBinCount);
  const binHz = context.sampleRate / node.fftSize;

  return {
    waveform(out) {
      node.getFloatTimeDomainData(out);
    },
    bands(out) {
      node.getByteFrequencyData(spectrum);
      for (let band = 0; band < out.length; band += 1) {
        const from = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** (band / out.length);
        const to = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** ((band + 1) / out.length);
        const first = Math.floor(from / binHz);
        const last = Math.max(first, Math.floor(to / binHz));
        let peak = 0;
        for (let bin = first; bin <= last; bin += 1) peak = Math.max(peak, spectrum[bin] ?? 0);
        out[band] = peak / 255;
      }
    },
    close() {
      source.disconnect();
      node.disconnect();
    },
  };
}
