import type { ToolCall, ToolOutcome, VoiceState } from "./types";

/** What a screen reader says, and everybody reads, in each state. */
export const STATE_LABELS: Record<VoiceState, string> = {
  connecting: "Connecting to the agent.",
  initializing: "Getting the agent ready.",
  listening: "Agent is listening. Speak now.",
  processing: "Agent is hearing you.",
  thinking: "Agent is thinking.",
  speaking: "Agent is speaking. You can interrupt.",
  disconnecting: "Ending the call.",
  disconnected: "Call ended.",
};

/** While a connection that was lost is tried again. */
export const COMING_BACK_LABEL = "Coming back to the call…";

/** While a connection carries nothing, and is not given up. */
export const INTERRUPTED_LABEL = "The connection is interrupted. Trying to get it back…";

/** Pipecat's names for what the time until an answer goes into, in the order they come. */
export const STAGE_LABELS: Readonly<Record<string, string | undefined>> = {
  endpointing_wait: "Noticing the silence",
  transcription: "Getting your words",
  turn_detection: "Waiting whether you go on",
  llm_inference: "Writing the answer",
  sentence_aggregation: "Up to its first clause",
  speech_synthesis: "Making the voice",
  output_transport: "Sending it",
  pipeline: "Everything between",
};

const OUTCOME_LABELS: Record<ToolOutcome, string> = {
  running: "running",
  completed: "done",
  failed: "failed",
  timed_out: "took too long",
  cancelled: "cancelled",
};

/** @param over the call has ended, or the tool has */
export function toolState({ outcome }: ToolCall, over: boolean): string {
  return outcome === "running" && over ? "unfinished" : OUTCOME_LABELS[outcome];
}

/** A tool whose name the server keeps to itself has none. */
export function describeTool(name: string): string {
  return name ? humanize(name) : "Looking something up";
}

/** `smart_router` -> `Smart router` */
export function humanize(name: string): string {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** 75000 -> `1:15` */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

/** 1234 -> `1.2 s`, 75000 -> `1:15` */
export function formatWait(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}
