/** What is different between the protocols, for a page that speaks one of them. */
import type { Conversation } from "./conversation";
import type { ServerMessage } from "./messages";

/**
 * What a message has become of the sound: the next piece of the bot's voice in Base64, that what
 * comes from here on is of another answer, or that what was not heard yet is not to be.
 */
export type Sounding = { play: string } | "another" | "silence" | null;

export interface Protocol {
  /** As `POST /start` names it. */
  transport: "voice-agent" | "sandwich" | "realtime";
  /** How the microphone and the bot's voice go in messages. */
  sound: "recorded" | "pcm";
  /** Whether the user says when they speak, may leave that to the bot, or always does. */
  talk: "hold" | "hold-or-free" | "free";
  /** The service says when there is a bot. */
  saysHello: boolean;
  /** The message that ends the call; null where closing the socket does. */
  goodbye: object | null;
  reduce: (state: Conversation, message: ServerMessage, at: number) => Conversation;
  sounding: (message: ServerMessage) => Sounding;
}
