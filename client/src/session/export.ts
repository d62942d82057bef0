/**
 * A transcript as JSON, as text and as WebVTT, in the forms in which the server gives it
 * (runner/transcripts.py). Only what was heard counts.
 */
import type { SessionState, TranscriptEntry } from "./types";

/** What is to be known of a call beside what was said in it. */
export type CallFacts = Pick<SessionState, "agent" | "startedAt" | "endedAt">;

interface Format {
  label: string;
  /** Behind the dot of the file's name. */
  extension: string;
  type: string;
  write: (entries: TranscriptEntry[], call: CallFacts) => string;
}

export const FORMATS: readonly Format[] = [
  { label: "Text", extension: "txt", type: "text/plain", write: toText },
  { label: "JSON", extension: "json", type: "application/json", write: toJson },
  { label: "Subtitles (WebVTT)", extension: "vtt", type: "text/vtt", write: toVtt },
];

const SHORTEST_CUE_MS = 1000;

/** What the client is not told is empty: the id of the session, and why it ended. */
export function toJson(entries: TranscriptEntry[], call: CallFacts): string {
  const transcript = {
    session_id: "",
    bot: call.agent ?? "",
    created_at: timeOf(startOf(entries, call)),
    ended_at: call.endedAt === null ? null : timeOf(call.endedAt),
    end_reason: null,
    entries: entries.filter((entry) => entry.text || entry.tool).map(toEntry),
  };
  return `${JSON.stringify(transcript, null, 2)}\n`;
}

function toEntry(entry: TranscriptEntry): object {
  const { sequence, role, text, tool } = entry;
  const started_at = timeOf(entry.at);
  const ended_at = entry.endedAt === null ? null : timeOf(entry.endedAt);
  if (tool) {
    return {
      type: "tool_call",
      sequence,
      call_id: tool.callId,
      tool: text,
      outcome: tool.outcome,
      arguments: tool.arguments ?? null,
      result: tool.result ?? null,
      error: null,
      started_at,
      ended_at,
    };
  }
  return {
    type: "turn",
    sequence,
    speaker: role,
    heard: text,
    generated: "",
    spoken: "",
    interrupted: entry.interrupted,
    started_at,
    // When a turn that goes on will be over is not known.
    ended_at: ended_at ?? started_at,
  };
}

/** For people: a line for each turn, and for each tool. */
export function toText(entries: TranscriptEntry[]): string {
  const lines = entries.flatMap((entry) => {
    const clock = timeOf(entry.at).slice(11, 19);
    if (entry.tool) return [`[${clock}] (${entry.text || "tool"}: ${entry.tool.outcome})`];
    return entry.text ? [`[${clock}] ${speakerOf(entry)}: ${shown(entry)}`] : [];
  });
  return lines.map((line) => `${line}\n`).join("");
}

/** Times count from the start of the call. Source: https://www.w3.org/TR/webvtt1/ */
export function toVtt(entries: TranscriptEntry[], call: CallFacts): string {
  const start = startOf(entries, call);
  const cues = entries
    .filter((entry) => entry.text && !entry.tool)
    .map((entry) => {
      // A cue has to last, and what was typed took no time.
      const end = Math.max(entry.endedAt ?? 0, entry.at + SHORTEST_CUE_MS);
      const words = escape(shown(entry));
      const span = `${timestamp(entry.at - start)} --> ${timestamp(end - start)}`;
      return `${entry.sequence}\n${span}\n<v ${speakerOf(entry)}>${words}\n`;
    });
  return ["WEBVTT\n", ...cues].join("\n");
}

function startOf(entries: TranscriptEntry[], call: CallFacts): number {
  return call.startedAt ?? entries[0]?.at ?? 0;
}

function speakerOf(entry: TranscriptEntry): string {
  return entry.role === "user" ? "User" : "Bot";
}

function shown(entry: TranscriptEntry): string {
  // A line break would end a cue, and make two lines of a turn.
  const words = entry.text.split(/\s+/).filter(Boolean).join(" ");
  return entry.interrupted ? `${words} —` : words;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function timestamp(sinceMs: number): string {
  const ms = Math.max(0, Math.round(sinceMs));
  const hours = Math.floor(ms / 3_600_000);
  const rest = new Date(ms).toISOString().slice(14, 23);
  return `${String(hours).padStart(2, "0")}:${rest}`;
}
