/** The operator's key, kept for as long as the browser's tab. */
import { loadPreferences } from "../media/preferences";

const KEY = "parlante.operator";

/** Whoever has given a key for a call may be an operator. */
export function loadKey(): string | null {
  try {
    return sessionStorage.getItem(KEY) ?? loadPreferences().key;
  } catch {
    return null;
  }
}

export function saveKey(key: string): void {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // Then it lasts until the page is left.
  }
}
