/** Each step, what is heard, thought and spoken: `/ws/sandwich`. */
import { NO_STEPS, callTool, finish, goTo, hear, rest, say, tellError } from "./conversation";
import type { Conversation, Steps } from "./conversation";
import type { ServerMessage } from "./messages";
import type { Protocol } from "./protocol";

function reduce(state: Conversation, message: ServerMessage, at: number): Conversation {
  switch (message.type) {
    case "stt_partial": {
      const heard = step(hear(state, message.text, false, at), { heard: message.text });
      // The last words are read after the user has let go.
      return state.held || state.handsFree ? goTo(heard, "processing") : heard;
    }
    case "stt_final": {
      const heard = hear(state, message.text, true, at);
      return goTo(step(heard, { heard: message.text, isHeard: true }), "thinking");
    }
    case "agent_chunk": {
      const said = say(endTools(state), message.text, at);
      const written = (said.steps?.written ?? "") + message.text;
      return stepAnswer(said, { written });
    }
    case "agent_tool": {
      const { name, args } = message.tool;
      const tool = { name: String(name), args };
      const used = callTool(state, tool.name, at);
      return stepAnswer(used, { tools: [...(used.steps?.tools ?? []), tool] });
    }
    case "tts_audio":
      return goTo(state.steps?.isSpoken ? state : step(state, { isSpoken: true }), "speaking");
    case "complete":
      return rest(step(finish(state), { isOver: true }));
    case "error":
      return tellError(state, message);
    default:
      return state;
  }
}

/** Add to the steps of an utterance, or begin those of another. */
function step(state: Conversation, change: Partial<Steps>): Conversation {
  const before = state.steps && !(state.steps.isOver && "heard" in change) ? state.steps : NO_STEPS;
  return { ...state, steps: { ...before, ...change } };
}

/** The bot writes, or uses a tool; it may speak already. */
function stepAnswer(state: Conversation, change: Partial<Steps>): Conversation {
  const next = step(state, change);
  return next.voiceState === "speaking" || next.held ? next : goTo(next, "thinking");
}

function endTools(state: Conversation): Conversation {
  const last = state.transcript.at(-1);
  return last?.role === "tool" && !last.final ? finish(state) : state;
}

export const SANDWICH: Protocol = {
  transport: "sandwich",
  sound: "pcm",
  talk: "hold-or-free",
  saysHello: false,
  goodbye: null,
  reduce,
  sounding(message) {
    if (message.type === "tts_audio") return { play: message.data };
    return message.type === "complete" || message.type === "stt_final" ? "another" : null;
  },
};
