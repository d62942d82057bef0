/** The session of this tab, to be taken up again when the page is loaded again. */
import type { Way } from "../media/way";

export interface KeptSession {
  agent: string;
  way: Way;
  /** What lets into it, as the server has given it. */
  connection: unknown;
}

const KEY = "parlante.session";

/** Storage can be switched off: then a reload ends the session, but it can still be come back to. */
let unstored: string | null = null;

export function keepSession(session: KeptSession): void {
  const text = JSON.stringify(session);
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    unstored = text;
  }
}

/** What storage holds can be anybody's. */
export function keptSession(): KeptSession | null {
  try {
    const kept = JSON.parse(stored() ?? "null") as Partial<KeptSession> | null;
    if (typeof kept?.agent !== "string" || !kept.connection) return null;
    if (kept.way !== "webrtc" && kept.way !== "websocket") return null;
    return { agent: kept.agent, way: kept.way, connection: kept.connection };
  } catch {
    return null;
  }
}

export function forgetSession(): void {
  unstored = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept there.
  }
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY) ?? unstored;
  } catch {
    return unstored;
  }
}

/** Whether the page was loaded again; not opened, or copied from a tab whose session it would take. */
export function wasReloaded(): boolean {
  const [navigation] = performance.getEntriesByType("navigation");
  return (navigation as PerformanceNavigationTiming | undefined)?.type === "reload";
}
