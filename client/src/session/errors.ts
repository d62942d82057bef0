/** From whatever was thrown to what the user is told. */
import { RTVIError, StartBotError } from "@pipecat-ai/client-js";
import { MicrophoneError, type MicrophoneProblem } from "../media/microphone";
import type { MicrophoneErrorKind, SessionError } from "./types";

/** The bot did not say that it is ready in time. */
export class BotSilentError extends Error {
  override name = "BotSilentError";
}

export const MICROPHONE_KINDS: Record<MicrophoneProblem, MicrophoneErrorKind> = {
  denied: "microphone-denied",
  missing: "microphone-missing",
  busy: "microphone-busy",
  insecure: "insecure-context",
  unknown: "microphone-failed",
};

/** How browsers word a `fetch` that reached nobody, and client-js a timeout. */
const NO_ANSWER = /failed to fetch|networkerror|load failed|fetch failed|timed out|aborted/i;

export function toSessionError(error: unknown, key: string | null = null): SessionError {
  if (error instanceof MicrophoneError) {
    return { kind: MICROPHONE_KINDS[error.problem] };
  }
  if (error instanceof BotSilentError) return { kind: "bot-silent" };
  if (error instanceof StartBotError) return startError(error, key);
  if (error instanceof RTVIError && error.status === 404) return { kind: "session-over" };
  if (error instanceof RTVIError) return { kind: "connection-failed", detail: error.message };
  // A gateway that answers with a page in place of JSON.
  if (error instanceof SyntaxError) return { kind: "server-unreachable" };
  return {
    kind: "connection-failed",
    ...(error instanceof Error && error.message ? { detail: error.message } : {}),
  };
}

function startError(error: StartBotError, key: string | null): SessionError {
  // client-js reports a server that cannot be reached as status 500 with the browser's words.
  if (NO_ANSWER.test(error.message)) return { kind: "server-unreachable" };
  switch (error.status) {
    case 401:
      return { kind: key === null ? "key-needed" : "key-refused" };
    case 429:
    case 503:
      return { kind: "server-busy", detail: error.message };
    case 502:
    case 504:
      return { kind: "server-unreachable" };
    default:
      return { kind: "start-refused", detail: error.message };
  }
}
