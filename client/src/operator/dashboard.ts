/** What the dashboard shows, as a pure function of what the service has told. */
import type { ProblemKind } from "./api";
import type { Overview, SessionStatus } from "./messages";

export type Access = "asking" | "granted" | "key-needed" | "key-refused" | "not-operator";

export interface DashboardState {
  access: Access;
  /** Those that go on, newest first. */
  active: SessionStatus[];
  /** Those that have ended, newest first. */
  recent: SessionStatus[];
  overview: Overview | null;
  /** When the service last answered, in ms. */
  seenAt: number | null;
  /** The service does not answer; it is asked again then, in ms. */
  lost: { retryAt: number } | null;
  /** Sessions that are being ended. */
  ending: string[];
  /** The service was told to drain, and may not have said so yet. */
  drainAsked: boolean;
  /** What could not be done, in the service's words. */
  problem: string | null;
}

export type DashboardEvent =
  | { type: "active"; sessions: SessionStatus[]; at: number }
  | { type: "overview"; overview: Overview; recent: SessionStatus[] }
  | { type: "failed"; kind: ProblemKind; message: string; retryAt: number }
  | { type: "ending"; id: string }
  | { type: "ended"; id: string }
  | { type: "drain-asked" }
  | { type: "not-done"; id: string | null; message: string }
  | { type: "dismiss-problem" };

export const initialDashboard: DashboardState = {
  access: "asking",
  active: [],
  recent: [],
  overview: null,
  seenAt: null,
  lost: null,
  ending: [],
  drainAsked: false,
  problem: null,
};

export function reduce(state: DashboardState, event: DashboardEvent): DashboardState {
  switch (event.type) {
    case "active": {
      const there = new Set(event.sessions.map((session) => session.session_id));
      return {
        ...state,
        access: "granted",
        active: event.sessions,
        ending: state.ending.filter((id) => there.has(id)),
        // A service that does not answer while it drains has stopped: this is another one.
        drainAsked: state.drainAsked && state.lost === null,
        seenAt: event.at,
        lost: null,
      };
    }

    case "overview":
      return {
        ...state,
        overview: event.overview,
        drainAsked: state.drainAsked && !event.overview.is_draining,
        recent: event.recent.filter((session) => !session.is_active),
      };

    case "failed":
      switch (event.kind) {
        case "key-needed":
        case "key-refused":
        case "not-operator":
          return { ...initialDashboard, access: event.kind };
        default:
          return { ...state, lost: { retryAt: event.retryAt } };
      }

    case "ending":
      return { ...state, ending: [...state.ending, event.id], problem: null };

    case "ended":
      return {
        ...state,
        active: state.active.filter((session) => session.session_id !== event.id),
        ending: state.ending.filter((id) => id !== event.id),
      };

    case "drain-asked":
      return { ...state, drainAsked: true, problem: null };

    case "not-done":
      return {
        ...state,
        ending: state.ending.filter((id) => id !== event.id),
        drainAsked: event.id === null ? false : state.drainAsked,
        problem: event.message,
      };

    case "dismiss-problem":
      return { ...state, problem: null };
  }
}

/** How the service is: `closed` to who is no operator, `stopped` if it drained and is gone. */
export type Condition = "asking" | "closed" | "running" | "draining" | "stopped" | "lost";

export function conditionOf(state: DashboardState): Condition {
  const draining = state.drainAsked || state.overview?.is_draining === true;
  if (state.lost) return draining ? "stopped" : "lost";
  if (state.seenAt === null) return state.access === "asking" ? "asking" : "closed";
  return draining ? "draining" : "running";
}
