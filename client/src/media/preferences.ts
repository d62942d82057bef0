/** What the user chose, kept for as long as the browser's tab. */
import { MODES } from "../session/types";
import type { Mode } from "../session/types";

export interface SoundPreferences {
  /** 0..1 */
  volume: number;
  /** The agent is not to be heard. */
  silent: boolean;
}

export interface Preferences {
  agent: string | null;
  /** How agents that can be talked with in several ways are; null for their usual one. */
  mode: Mode | null;
  microphoneId: string | null;
  /** What lets into the service; null where nothing was asked for. */
  key: string | null;
  sound: SoundPreferences;
  /** The conversation is held in writing. */
  writing: boolean;
}

const KEY = "parlante";

export const DEFAULT_PREFERENCES: Preferences = {
  agent: null,
  mode: null,
  microphoneId: null,
  key: null,
  sound: { volume: 1, silent: false },
  writing: false,
};

/** Storage can be switched off, and its content can be anybody's. */
export function loadPreferences(): Preferences {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as Partial<Preferences>;
    const volume = stored.sound?.volume ?? 1;
    return {
      agent: typeof stored.agent === "string" ? stored.agent : null,
      mode: MODES.find((mode) => mode === stored.mode) ?? null,
      microphoneId: typeof stored.microphoneId === "string" ? stored.microphoneId : null,
      key: typeof stored.key === "string" ? stored.key : null,
      sound: {
        volume: typeof volume === "number" && volume >= 0 && volume <= 1 ? volume : 1,
        silent: stored.sound?.silent === true,
      },
      writing: stored.writing === true,
    };
  } catch {
    return DEFAULT_PREFERENCES;
  }
}

export function savePreferences(preferences: Preferences): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Then they last until the page is left.
  }
}
