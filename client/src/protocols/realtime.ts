/** Either side may speak at any time: `/ws/realtime`. */
import { cutOff, finish, goTo, hear, rest, say, tellError } from "./conversation";
import type { Conversation } from "./conversation";
import type { ServerMessage } from "./messages";
import type { Protocol } from "./protocol";

function reduce(state: Conversation, message: ServerMessage, at: number): Conversation {
  switch (message.type) {
    case "speech_started":
      return goTo(state, "processing");
    case "speech_ended":
      return state.voiceState === "speaking" ? state : goTo(state, "thinking");
    case "transcript":
      return hear(state, message.text, true, at);
    case "audio":
      // It takes up the voice again after a cough.
      return goTo(tellLength(state, at), "speaking");
    case "done":
      return rest(finish(state));
    case "interrupted":
      return goTo(cutOff(state), "processing");
    case "error":
      return tellError(state, message);
    default:
      return state;
  }
}

/** This protocol tells no words of the bot's. Its voice comes as fast as it is heard. */
function tellLength(state: Conversation, at: number): Conversation {
  const last = state.transcript.at(-1);
  if (last?.role !== "bot" || last.final) return say(state, length(0), at);
  const text = length(at - last.at);
  if (text === last.text) return state;
  return { ...state, transcript: [...state.transcript.slice(0, -1), { ...last, text }] };
}

function length(ms: number): string {
  return `Spoke for ${Math.max(1, Math.round(ms / 1000))} s`;
}

export const REALTIME: Protocol = {
  transport: "realtime",
  sound: "pcm",
  talk: "free",
  saysHello: false,
  goodbye: { type: "stop" },
  reduce,
  sounding(message) {
    if (message.type === "audio") return { play: message.data };
    return message.type === "interrupted" ? "silence" : null;
  },
};
