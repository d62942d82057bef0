/** The session of this tab, to be taken up again when the page is loaded again. */
import type { Way } from "../media/way";

export interface KeptSession {
  agent: string;
  way: Way;
  /** What lets into it, as the server has given it. */
  connection: unknown;
}

const KEY = "parlante.session";

export function keepSession(session: KeptSession): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(session));
  } catch {
    // Then a reload ends it.
  }
}

/** Storage can be switched off, and its content can be anybody's. */
export function keptSession(): KeptSession | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Partial<KeptSession> | null;
    if (typeof kept?.agent !== "string" || !kept.connection) return null;
    if (kept.way !== "webrtc" && kept.way !== "websocket") return null;
    return { agent: kept.agent, way: kept.way, connection: kept.connection };
  } catch {
    return null;
  }
}

export function forgetSession(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

/** Whether the page was loaded again; not opened, or copied from a tab whose session it would take. */
export function wasReloaded(): boolean {
  const [navigation] = performance.getEntriesByType("navigation");
  return (navigation as PerformanceNavigationTiming | undefined)?.type === "reload";
}
