/** The messages of docs/protocols.md, as the service sends them. */

export interface ErrorMessage {
  type: "error";
  message: string;
  code?: string;
}

export type VoiceAgentMessage =
  | { type: "connection_established"; session_id: string; agent: string }
  | { type: "status_update"; status: string }
  | { type: "transcription"; text: string; is_final: boolean }
  | { type: "llm_response"; text: string }
  | { type: "audio_response"; data: string };

export type SandwichMessage =
  | { type: "stt_partial"; text: string }
  | { type: "stt_final"; text: string }
  | { type: "agent_chunk"; text: string }
  | { type: "agent_tool"; tool: { name?: unknown; args?: unknown } }
  | { type: "tts_audio"; data: string }
  | { type: "complete" };

export type RealtimeMessage =
  | { type: "speech_started" }
  | { type: "speech_ended" }
  | { type: "transcript"; text: string }
  | { type: "audio"; data: string }
  | { type: "done" }
  | { type: "interrupted" };

export type ServerMessage = ErrorMessage | VoiceAgentMessage | SandwichMessage | RealtimeMessage;

/** Type of a message -> what it must have, and of what type. */
const FIELDS: Record<ServerMessage["type"], Record<string, "string" | "boolean" | "object">> = {
  error: { message: "string" },
  connection_established: { session_id: "string", agent: "string" },
  status_update: { status: "string" },
  transcription: { text: "string", is_final: "boolean" },
  llm_response: { text: "string" },
  audio_response: { data: "string" },
  stt_partial: { text: "string" },
  stt_final: { text: "string" },
  agent_chunk: { text: "string" },
  agent_tool: { tool: "object" },
  tts_audio: { data: "string" },
  complete: {},
  speech_started: {},
  speech_ended: {},
  transcript: { text: "string" },
  audio: { data: "string" },
  done: {},
  interrupted: {},
};

function isServerMessage(value: unknown): value is ServerMessage {
  const message = (value ?? {}) as Record<string, unknown>;
  const fields = Object.entries(FIELDS).find(([type]) => type === message.type)?.[1];
  return fields !== undefined
    ? Object.entries(fields).every(([name, type]) => typeof message[name] === type && message[name] !== null)
    : false;
}

/** Read what the service sent; null for what this page does not know. */
export function parseMessage(data: unknown): ServerMessage | null {
  try {
    const message: unknown = JSON.parse(String(data));
    return isServerMessage(message) ? message : null;
  } catch {
    return null;
  }
}
