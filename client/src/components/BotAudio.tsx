import { useEffect, useRef } from "react";
import type { SoundPreferences } from "../media/preferences";

export interface BotAudioProps {
  track: MediaStreamTrack | null;
  sound: SoundPreferences;
  /** Null for the system's default. */
  speakerId: string | null;
  /** Counts the user's requests to turn blocked sound on. */
  attempt: number;
  /** The browser wants a gesture before it plays. */
  onBlocked: () => void;
}

/** Plays the bot. */
export function BotAudio({ track, sound, speakerId, attempt, onBlocked }: BotAudioProps) {
  const audio = useRef<HTMLAudioElement>(null);

  useEffect(() => {
    const element = audio.current;
    if (!element || !track) return;
    element.srcObject = new MediaStream([track]);
    element.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") onBlocked();
    });
    return () => {
      element.srcObject = null;
    };
  }, [track, attempt, onBlocked]);

  useEffect(() => {
    if (!audio.current) return;
    audio.current.volume = sound.volume;
    audio.current.muted = sound.silent;
  }, [sound]);

  useEffect(() => {
    const element = audio.current;
    if (!element || !speakerId || !("setSinkId" in element)) return;
    element.setSinkId(speakerId).catch(() => {
      // The device is gone: the default goes on playing.
    });
  }, [speakerId]);

  return <audio ref={audio} autoPlay />;
}
