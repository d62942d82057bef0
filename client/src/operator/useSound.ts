/** Fetches the sound of a call that is over, and looks how loud it is. */
import { useEffect, useState } from "react";
import type { OperatorApi } from "./api";
import type { SessionReport } from "./messages";
import { peaks, slices } from "./sound";
import type { Part } from "./sound";

export type SoundState =
  | { status: "none" }
  | { status: "loading" }
  | { status: "failed" }
  | { status: "ready"; parts: Part[] };

/** Decoded, sound takes a hundred times as much: of more than half an hour no waveform is drawn. */
const MOST_DECODED_BYTES = 10_000_000;
const DECODED_HZ = 8000;
const STRETCHES_PER_SEC = 20;

export function useSound(api: OperatorApi, report: SessionReport | null): SoundState {
  const id = report && !report.is_active && report.recorded.length > 0 ? report.session_id : null;
  const [state, setState] = useState<{ of: string; sound: SoundState } | null>(null);

  useEffect(() => {
    if (id === null || report === null) return;
    const stop = new AbortController();
    const urls: string[] = [];
    api
      .recording(id, stop.signal)
      .then((whole) =>
        Promise.all(
          slices(report.recorded).map(({ start, end, until }) => {
            const blob = whole.slice(start, end, "audio/ogg");
            const url = URL.createObjectURL(blob);
            urls.push(url);
            return toPart(blob, url, until);
          }),
        ),
      )
      .then(
        (parts) => {
          const there = parts.filter((part) => part !== null);
          const sound: SoundState = there.length
            ? { status: "ready", parts: there }
            : { status: "failed" };
          if (!stop.signal.aborted) setState({ of: id, sound });
        },
        () => {
          if (!stop.signal.aborted) setState({ of: id, sound: { status: "failed" } });
        },
      );
    return () => {
      stop.abort();
      urls.forEach((url) => URL.revokeObjectURL(url));
    };
  }, [api, id, report]);

  if (id === null) return { status: "none" };
  return state?.of === id ? state.sound : { status: "loading" };
}

/** A call that nobody joined has no sound, and no part. */
async function toPart(blob: Blob, url: string, until: number): Promise<Part | null> {
  const secs = await durationOf(url);
  if (secs === null) return null;
  const from = until - secs * 1000;
  return { url, from, to: until, secs, loudness: await loudnessOf(blob, secs).catch(() => null) };
}

function durationOf(url: string): Promise<number | null> {
  return new Promise((resolve) => {
    const audio = new Audio();
    audio.onloadedmetadata = () => resolve(audio.duration > 0 && audio.duration < Infinity ? audio.duration : null);
    audio.onerror = () => resolve(null);
    audio.src = url;
  });
}

async function loudnessOf(blob: Blob, secs: number): Promise<Part["loudness"]> {
  if (blob.size > MOST_DECODED_BYTES) return null;
  const context = new OfflineAudioContext(2, 1, DECODED_HZ);
  const decoded = await context.decodeAudioData(await blob.arrayBuffer());
  const count = Math.max(1, Math.ceil(secs * STRETCHES_PER_SEC));
  const [user, bot] = [0, 1].map((side) => peaks(decoded.getChannelData(side), count));
  return user && bot ? { user, bot } : null;
}
