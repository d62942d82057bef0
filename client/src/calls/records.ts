/** Past calls, as the server keeps them. */
import { serverUrl } from "../session/api";
import type { ToolOutcome, TranscriptEntry } from "../session/types";

export interface CallRecord {
  id: string;
  agent: string;
  /** When it began, in ms. */
  at: number;
  durationMs: number;
  /** Null while it goes on. */
  endReason: string | null;
}

/** What the server refuses without a key, or with this one. */
export class KeyError extends Error {
  override name = "KeyError";
}

async function get(path: string, key: string | null, signal: AbortSignal): Promise<unknown> {
  const headers = new Headers(key === null ? {} : { "X-API-Key": key });
  const response = await fetch(serverUrl(path), { headers, signal });
  if (response.status === 401 || response.status === 403) throw new KeyError();
  if (!response.ok) throw new Error(`GET ${path}: ${response.status}`);
  return response.json();
}

interface ServerSession {
  session_id: string;
  bot: string;
  created_at: string;
  duration_seconds: number;
  end_reason: string | null;
}

/**
 * Ask for the calls of whoever asks, the newest first.
 *
 * @throws KeyError where a key is needed; Error if the server cannot be reached, or refuses
 */
export async function fetchCalls(key: string | null, signal: AbortSignal): Promise<CallRecord[]> {
  const body = await get("voice/realtime/sessions?limit=50", key, signal);
  return (body as { sessions: ServerSession[] }).sessions.map((session) => ({
    id: session.session_id,
    agent: session.bot,
    at: Date.parse(session.created_at),
    durationMs: session.duration_seconds * 1000,
    endReason: session.end_reason,
  }));
}

type ServerEntry =
  | {
      type: "turn";
      sequence: number;
      speaker: "user" | "bot";
      heard: string;
      spoken: string;
      interrupted: boolean;
      started_at: string;
      ended_at: string;
    }
  | {
      type: "tool_call";
      sequence: number;
      call_id: string;
      tool: string;
      outcome: ToolOutcome;
      arguments: unknown;
      result: unknown;
      started_at: string;
      ended_at: string | null;
    };

/** The transcript of a call; throws as `fetchCalls` does. */
export async function fetchTranscript(
  id: string,
  key: string | null,
  signal: AbortSignal,
): Promise<TranscriptEntry[]> {
  const body = await get(`voice/realtime/session/${id}/transcript`, key, signal);
  return (body as { entries: ServerEntry[] }).entries.map(toEntry);
}

export function toEntry(entry: ServerEntry): TranscriptEntry {
  const common = {
    sequence: entry.sequence,
    at: Date.parse(entry.started_at),
    endedAt: entry.ended_at === null ? null : Date.parse(entry.ended_at),
  };
  if (entry.type === "tool_call") {
    const { call_id: callId, outcome, arguments: given, result } = entry;
    return {
      ...common,
      role: "tool",
      text: entry.tool,
      final: outcome !== "running",
      interrupted: false,
      tool: { callId, outcome, arguments: given, result },
    };
  }
  const { speaker, heard, spoken, interrupted } = entry;
  const unheard = spoken.startsWith(heard) ? spoken.slice(heard.length).trimEnd() : "";
  return {
    ...common,
    role: speaker,
    text: heard,
    final: true,
    interrupted,
    ...(interrupted && unheard && { unheard }),
  };
}
