/**
 * What the service tells operators, as it comes: the models of runner/api/ops.py, sessions.py and
 * events.py. `client/fixtures/operator` has one of each, which tests of both sides hold them to.
 */
import type { VoiceState } from "../session/types";

export interface SessionStatus {
  session_id: string;
  room_name: string;
  user: string;
  bot: string;
  transport: string;
  is_active: boolean;
  participant_count: number;
  agent_connected: boolean;
  agent_state: VoiceState;
  last_wait_ms: number | null;
  created_at: string;
  duration_seconds: number;
  end_reason: string | null;
}

export interface SessionList {
  sessions: SessionStatus[];
}

/** The sound of one call of a session: so many bytes of the whole, up to a moment. */
export interface RecordedCall {
  size: number;
  until: string;
}

export interface Usage {
  currency: string;
  cost: number;
  unpriced: string[];
}

export interface SessionReport extends SessionStatus {
  usage: Usage;
  recorded: RecordedCall[];
}

/** Half of the times are no longer than `p50_ms`, and 95 % than `p95_ms`. */
export interface Spread {
  p50_ms: number;
  p95_ms: number;
}

export interface Minute {
  at: string;
  answers: number;
  wait: Spread | null;
  /** By Pipecat's names; see `STAGE_LABELS`. */
  stages: Readonly<Record<string, Spread | undefined>>;
  failures: number;
}

export interface ServiceFailures {
  stage: string;
  provider: string;
  reason: string;
  count: number;
  last_at: string;
}

export interface Overview {
  at: string;
  is_draining: boolean;
  sessions: number;
  lines: number;
  /** Those in which there was anything, oldest first. */
  minutes: Minute[];
  failures: ServiceFailures[];
}

export interface Refusal {
  error: { code: string; message: string; retryable: boolean };
}

export interface TurnTold {
  sequence: number;
  speaker: "user" | "bot";
  heard: string;
  generated: string;
  spoken: string;
  interrupted: boolean;
  started_at: string;
  ended_at: string;
}

export interface ToolTold {
  sequence: number;
  call_id: string;
  tool: string;
  outcome: string;
  arguments: unknown;
  result: unknown;
  error: string | null;
  started_at: string;
  ended_at: string | null;
}

export interface AnswerTold {
  total_ms: number;
  /** The parts of the wait in their order, by Pipecat's names; they add up to the whole. */
  stages_ms: Readonly<Record<string, number>>;
  made_ahead: boolean;
  withdrawn: number;
}

interface Told<Kind extends string, Data> {
  event: Kind;
  data: { at: string; sequence: number | null; data: Data };
}

/** An event of `/voice/realtime/session/{id}/events`. */
export type Happening =
  | Told<"state", { state: VoiceState }>
  | Told<"turn", TurnTold>
  | Told<"tool_call", ToolTold>
  | Told<"answer", AnswerTold>
  | Told<"started" | "joined" | "left", unknown>
  | Told<"ended", { reason: string; usage: Usage }>;
