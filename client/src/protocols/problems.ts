/** What can go wrong with a line of the JSON protocols, and what the user can do about it. */
import { describeError } from "../components/problems";
import type { Problem } from "../components/problems";
import type { SessionError, SessionErrorKind } from "../session/types";
import type { Notice } from "./conversation";
import type { ErrorMessage } from "./messages";

type OwnKind =
  | "cannot-record"
  | "no-such-agent"
  | "agent-not-for-this"
  | "service-failed"
  | "taken-elsewhere"
  | "not-let-in";

export interface LineError {
  kind: SessionErrorKind | OwnKind;
  /** What the service or the browser said about it, where that helps the user. */
  detail?: string;
}

const PROBLEMS: Record<OwnKind, Problem> = {
  "cannot-record": {
    title: "This browser cannot record.",
    advice: "It has no MediaRecorder. The other protocols, and the home page, do without.",
    action: "Try again",
  },
  "no-such-agent": {
    title: "There is no such agent.",
    advice: "It may have gone since this page was opened. Choose another one.",
    action: "Try again",
  },
  "agent-not-for-this": {
    title: "This agent cannot be reached in this way.",
    advice: "Choose another one, or another protocol.",
    action: "Try again",
  },
  "service-failed": {
    title: "Something is wrong with the service.",
    advice: "Its log says what. You can try again.",
    action: "Try again",
  },
  "taken-elsewhere": {
    title: "The conversation goes on elsewhere.",
    advice: "It was taken up at another connection. You can start a new one here.",
    action: "Call again",
  },
  "not-let-in": {
    title: "You were not let in.",
    advice: "The service does not take this page's session. Start a new one.",
    action: "Try again",
  },
};

function isOwn(kind: LineError["kind"]): kind is OwnKind {
  return Object.hasOwn(PROBLEMS, kind);
}

export function describeLineError(error: LineError): Problem {
  return isOwn(error.kind) ? PROBLEMS[error.kind] : describeError(error as SessionError);
}

/**
 * What it means that the service has closed a WebSocket, and will do so again.
 *
 * @param told the error that it sent before; null where there was a call
 * @returns null if the connection was only lost
 */
export function toLineError(
  code: number,
  reason: string,
  told: ErrorMessage | null,
): LineError | null {
  const kind = kindOf(code, told?.code);
  const detail = told?.message ?? reason;
  return kind && { kind, ...(detail && { detail }) };
}

function kindOf(code: number, told: string | undefined): LineError["kind"] | null {
  switch (code) {
    case 1003:
      return "no-such-agent";
    case 1008:
      return "agent-not-for-this";
    case 1009:
    case 1011:
      return "service-failed";
    case 1013:
      return "server-busy";
    case 4003:
      if (told === "SESSION_NOT_FOUND") return "session-over";
      if (told === "UNAUTHENTICATED") return "key-refused";
      return told === undefined || told === "SESSION_TAKEN" ? "taken-elsewhere" : "not-let-in";
    default:
      return null;
  }
}

const NOTICES: Record<Notice["kind"], Omit<Problem, "action">> = {
  "sound-blocked": {
    title: "Your browser has blocked the sound.",
    advice: "Turn it on to hear the agent.",
  },
  "microphone-lost": {
    title: "The microphone is gone.",
    advice: "Plug in one, end this conversation, and start another one.",
  },
  "service-failed": {
    title: "The agent ran into a problem.",
    advice: "The conversation goes on.",
  },
  "not-heard": {
    title: "That could not be heard.",
    advice: "Say it again: the conversation goes on.",
  },
};

export function describeLineNotice(notice: Notice): Omit<Problem, "action"> {
  return NOTICES[notice.kind];
}
