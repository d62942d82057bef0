/** Push to talk: `/ws/voice-agent/{agent_id}`. */
import { cutOff, finish, goTo, hear, rest, say, tellError } from "./conversation";
import type { Conversation } from "./conversation";
import type { ServerMessage } from "./messages";
import type { Protocol } from "./protocol";

function reduce(state: Conversation, message: ServerMessage, at: number): Conversation {
  switch (message.type) {
    case "connection_established":
      return { ...rest(state), unstable: false };
    case "status_update":
      return follow(state, message.status);
    case "transcription":
      return hear(state, message.text, message.is_final, at);
    case "llm_response":
      // An answer that uses a tool comes in parts.
      return say(state, isAnswering(state) ? ` ${message.text}` : message.text, at);
    case "error":
      return tellError(state, message);
    default:
      return state;
  }
}

function follow(state: Conversation, status: string): Conversation {
  switch (status) {
    // The bot may hear that the utterance is over before the user lets go.
    case "processing":
      return goTo(finish(state), "thinking");
    case "generating_audio":
      return goTo(state, "speaking");
    case "idle":
      return rest(state.held ? cutOff(state) : finish(state));
    default:
      return state;
  }
}

function isAnswering({ transcript }: Conversation): boolean {
  const last = transcript.at(-1);
  return last?.role === "bot" && !last.final;
}

export const VOICE_AGENT: Protocol = {
  transport: "voice-agent",
  sound: "recorded",
  talk: "hold",
  saysHello: true,
  goodbye: { type: "end_session" },
  reduce,
  sounding(message) {
    if (message.type === "audio_response") return { play: message.data };
    return message.type === "status_update" && message.status !== "processing" ? "another" : null;
  },
};
