/** What a microphone hears, in a format of the browser's choice. */

/** What the service reads, the best first: WebM and Ogg with Opus, MP4 of Safari. */
const FORMATS = [
  "audio/webm;codecs=opus",
  "audio/ogg;codecs=opus",
  "audio/mp4;codecs=opus",
  "audio/mp4;codecs=mp4a.40.2",
  "audio/mp4",
];
const PIECE_MS = 250;
const BITS_PER_SECOND = 32_000;

/** Takes the next piece of an utterance; the final one is empty. */
export type OnPiece = (piece: Uint8Array, isFinal: boolean) => void;

export function canRecord(): boolean {
  return typeof MediaRecorder !== "undefined";
}

/** Records one utterance after the other; their pieces come in order. */
export class Recorder {
  private recorder: MediaRecorder | null = null;
  private before: Promise<void> = Promise.resolve();

  constructor(private readonly onPiece: OnPiece) {}

  /** Begin an utterance, which ends the one before it. */
  start(track: MediaStreamTrack): void {
    this.stop();
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    const recorder = new MediaRecorder(new MediaStream([track]), {
      audioBitsPerSecond: BITS_PER_SECOND,
      ...(mimeType !== undefined && { mimeType }),
    });
    recorder.addEventListener("dataavailable", ({ data }) => {
      this.inOrder(async () => this.onPiece(new Uint8Array(await data.arrayBuffer()), false));
    });
    // The last piece does not say so itself: one that was due may come after the button was let go.
    recorder.addEventListener("stop", () => {
      this.inOrder(() => this.onPiece(new Uint8Array(), true));
    });
    recorder.start(PIECE_MS);
    this.recorder = recorder;
  }

  /** End the utterance, whose last piece is still to come. */
  stop(): void {
    const { recorder } = this;
    this.recorder = null;
    // It ends by itself with its microphone.
    if (recorder && recorder.state !== "inactive") recorder.stop();
  }

  private inOrder(next: () => Promise<void> | void): void {
    this.before = this.before.then(next);
  }
}
