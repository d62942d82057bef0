/** Either side may speak at any time: `/ws/realtime`. */
import { cutOff, finish, goTo, hear, rest, say, tellError } from "./conversation";
import type { Conversation } from "./conversation";
import type { ServerMessage } from "./messages";
import type { Protocol } from "./protocol";

const SPEAKING = "Speaking…";

function reduce(state: Conversation, message: ServerMessage, at: number): Conversation {
  switch (message.type) {
    case "speech_started":
      return goTo(state, "processing");
    case "speech_ended":
      return state.voiceState === "speaking" ? state : goTo(state, "thinking");
    case "transcript":
      return hear(state, message.text, true, at);
    case "audio": {
      const last = state.transcript.at(-1);
      const isTold = last?.role === "bot" && !last.final;
      // It takes up the voice again after a cough.
      return goTo(isTold ? state : say(state, SPEAKING, at), "speaking");
    }
    case "done":
      return rest(finish(tellLength(state, at)));
    case "interrupted":
      return goTo(cutOff(tellLength(state, at)), "processing");
    case "error":
      return tellError(state, message);
    default:
      return state;
  }
}

/** This protocol tells no words of the bot's. Its voice comes as fast as it is heard. */
function tellLength(state: Conversation, at: number): Conversation {
  const transcript = state.transcript.map((entry) =>
    entry.role === "bot" && !entry.final
      ? { ...entry, text: `Spoke for ${Math.max(1, Math.round((at - entry.at) / 1000))} s` }
      : entry,
  );
  return { ...state, transcript };
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
