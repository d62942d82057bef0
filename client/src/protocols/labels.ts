/** What the pages of the protocols say. */
import { STATE_LABELS } from "../session/labels";
import type { Conversation } from "./conversation";

/** What everybody reads, and a screen reader says, of a conversation with a button to hold. */
const HOLD_LABELS: Partial<typeof STATE_LABELS> = {
  listening: "Hold the button, and speak.",
  processing: "Agent is hearing you. Let go when you have spoken.",
  speaking: "Agent is speaking. Hold the button to interrupt.",
};

export function statusLabel({ voiceState, handsFree, endedBy }: Conversation): string {
  const isOver = endedBy === "user" || endedBy === "bot";
  if (voiceState === "disconnected" && !isOver) return "Choose an agent, and start.";
  return (handsFree ? undefined : HOLD_LABELS[voiceState]) ?? STATE_LABELS[voiceState];
}
