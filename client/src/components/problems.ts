/** What each problem is called, and what the user can do about it. */
import type {
  MicrophoneErrorKind,
  SessionError,
  SessionErrorKind,
  SessionNotice,
} from "../session/types";

export interface Trouble {
  title: string;
  advice: string;
}

export interface Problem extends Trouble {
  /** The label of the way on. */
  action: string;
}

const PROBLEMS: Record<SessionErrorKind, Problem> = {
  "microphone-denied": {
    title: "The microphone is blocked.",
    advice:
      "Allow it for this page: the sign is in the address bar, next to the address. Then try again.",
    action: "Try again",
  },
  "microphone-missing": {
    title: "No microphone was found.",
    advice: "Plug one in, or switch it on in your system's sound settings, and try again.",
    action: "Try again",
  },
  "microphone-busy": {
    title: "The microphone is in use.",
    advice: "Another program or tab holds it. Close that one, and try again.",
    action: "Try again",
  },
  "microphone-failed": {
    title: "The microphone could not be opened.",
    advice: "Check it in your system's sound settings, and try again.",
    action: "Try again",
  },
  "insecure-context": {
    title: "This page may not use the microphone.",
    advice: "Browsers allow it only over https, or on localhost. Open the page at such an address.",
    action: "Try again",
  },
  "server-unreachable": {
    title: "The server cannot be reached.",
    advice: "Check your network, and that the service is running. Then try again.",
    action: "Try again",
  },
  "server-busy": {
    title: "All lines are busy…",
    advice: "Every place is taken at the moment. Try again in a little while.",
    action: "Try again",
  },
  "key-needed": {
    title: "This service asks for a key.",
    advice: "Whoever runs it can make one for you. It is forgotten when you close this tab.",
    action: "Start with this key",
  },
  "key-refused": {
    title: "This key is not good.",
    advice: "It may have been revoked, or a letter is missing. Whoever runs the service knows.",
    action: "Start with this key",
  },
  "start-refused": {
    title: "The call could not be started.",
    advice: "The server did not accept it.",
    action: "Try again",
  },
  "session-over": {
    title: "That conversation is over.",
    advice: "It was ended while you were away. You can start a new one.",
    action: "Call again",
  },
  "session-taken": {
    title: "This conversation goes on elsewhere.",
    advice: "It was opened in another tab, or on another device. You can start a new one here.",
    action: "Call again",
  },
  "connection-failed": {
    title: "No connection could be made.",
    advice:
      "The server was found, but the sound could not get through. A firewall may be in the way: the next try goes another way.",
    action: "Try again",
  },
  "connection-lost": {
    title: "The connection was lost.",
    advice: "It did not come back for some minutes. Check your network.",
    action: "Call again",
  },
  "bot-silent": {
    title: "The agent did not answer.",
    advice: "The connection is fine, but nobody came to the phone. Try again.",
    action: "Try again",
  },
  "bot-error": {
    title: "The agent ran into a problem.",
    advice: "It had to end the call.",
    action: "Call again",
  },
};

export function describeError(error: SessionError): Problem {
  return PROBLEMS[error.kind];
}

const NOTICES: Record<Exclude<SessionNotice["kind"], MicrophoneErrorKind>, Trouble> = {
  "bot-problem": {
    title: "The agent ran into a problem.",
    advice: "The call goes on.",
  },
  "microphone-lost": {
    title: "The microphone is gone.",
    advice: "Plug it in again, or choose another one under Sound settings.",
  },
  "sound-blocked": {
    title: "Your browser has blocked the sound.",
    advice: "Turn it on to hear the agent.",
  },
};

export function describeNotice({ kind }: SessionNotice): Trouble {
  const { title, advice } = kind in NOTICES ? NOTICES[kind as keyof typeof NOTICES] : PROBLEMS[kind as MicrophoneErrorKind];
  return { title, advice };
}
