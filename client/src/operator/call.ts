/** One call, as a pure function of what the service tells of it. Times are in ms, its clock's. */
import type { VoiceState } from "../session/types";
import type { AnswerTold, Happening, SessionReport, ToolTold, TurnTold } from "./messages";

interface Timed {
  sequence: number;
  from: number;
  /** When it was over; null while it goes on. */
  to: number | null;
}

export interface Turn extends Timed {
  kind: "turn";
  speaker: "user" | "bot";
  heard: string;
  /** What the bot had to say and was not heard, because it was spoken over. */
  unheard: string;
  interrupted: boolean;
}

export interface Tool extends Timed {
  kind: "tool";
  name: string;
  outcome: string;
  arguments: unknown;
  result: unknown;
  error: string | null;
}

/** A stretch of a wait. */
export interface Stage {
  name: string;
  from: number;
  ms: number;
}

export interface Wait extends Timed {
  kind: "wait";
  to: number;
  totalMs: number;
  stages: Stage[];
  madeAhead: boolean;
  withdrawn: number;
}

/** Something about the connection. */
export interface Mark extends Timed {
  kind: "mark";
  what: "started" | "joined" | "left" | "ended";
}

export type Entry = Turn | Tool | Wait | Mark;

export interface CallState {
  report: SessionReport | null;
  /** By when they began. */
  entries: Entry[];
  /** What the bot does; null until it is told. */
  voiceState: VoiceState | null;
  /** How much later it is here than at the service. */
  skewMs: number;
  endReason: string | null;
  following: "not-yet" | "live" | "lost" | "over" | "not-found";
}

export type CallEvent =
  | { type: "report"; report: SessionReport }
  | { type: "happened"; happening: Happening; at: number }
  | { type: "lost" }
  | { type: "not-found" };

export const initialCall: CallState = {
  report: null,
  entries: [],
  voiceState: null,
  skewMs: 0,
  endReason: null,
  following: "not-yet",
};

export function reduce(state: CallState, event: CallEvent): CallState {
  switch (event.type) {
    case "report":
      return {
        ...state,
        report: event.report,
        endReason: event.report.end_reason ?? state.endReason,
        following: event.report.is_active ? state.following : "over",
      };

    case "happened":
      return happen(state, event.happening, event.at);

    case "lost":
      return state.following === "over" ? state : { ...state, following: "lost" };

    case "not-found":
      return { ...state, following: "not-found" };
  }
}

function happen(before: CallState, { event, data }: Happening, at: number): CallState {
  const state: CallState =
    before.following === "over" ? before : { ...before, following: "live" };
  const when = Date.parse(data.at);
  switch (event) {
    case "state":
      // It is told as it happens: the two clocks can be compared.
      return { ...state, voiceState: data.data.state, skewMs: at - when };
    case "turn":
      return keep(state, toTurn(data.data));
    case "tool_call":
      return keep(state, toTool(data.data));
    case "answer":
      return keep(state, toWait(data.data, data.sequence ?? 0, when));
    case "started":
    case "joined":
    case "left":
      return keep(state, toMark(event, data.sequence ?? 0, when));
    case "ended":
      return {
        ...keep(state, toMark(event, data.sequence ?? 0, when)),
        voiceState: "disconnected",
        endReason: data.data.reason,
        following: "over",
      };
    default:
      // Of a newer service.
      return state;
  }
}

/** Whatever was told of before is told again, after the connection was lost. */
function keep(state: CallState, entry: Entry): CallState {
  const others = state.entries.filter(({ sequence }) => sequence !== entry.sequence);
  const before = others.findLastIndex(
    (other) =>
      other.from < entry.from || (other.from === entry.from && other.sequence < entry.sequence),
  );
  return { ...state, entries: others.toSpliced(before + 1, 0, entry) };
}

function toTurn(told: TurnTold): Turn {
  const { sequence, speaker, heard, spoken, interrupted } = told;
  const unheard =
    interrupted && speaker === "bot" && spoken.startsWith(heard) ? spoken.slice(heard.length) : "";
  return {
    kind: "turn",
    sequence,
    from: Date.parse(told.started_at),
    to: Date.parse(told.ended_at),
    speaker,
    heard,
    unheard: unheard.trim(),
    interrupted,
  };
}

function toTool(told: ToolTold): Tool {
  return {
    kind: "tool",
    sequence: told.sequence,
    from: Date.parse(told.started_at),
    to: told.ended_at === null ? null : Date.parse(told.ended_at),
    name: told.tool,
    outcome: told.outcome,
    arguments: told.arguments,
    result: told.result,
    error: told.error,
  };
}

/** It is told of when it is over: when the bot begins to speak. */
function toWait(told: AnswerTold, sequence: number, to: number): Wait {
  let from = to - told.total_ms;
  const stages = Object.entries(told.stages_ms).map(([name, ms]) => {
    const stage = { name, from, ms };
    from += ms;
    return stage;
  });
  return {
    kind: "wait",
    sequence,
    from: to - told.total_ms,
    to,
    totalMs: told.total_ms,
    stages,
    madeAhead: told.made_ahead,
    withdrawn: told.withdrawn,
  };
}

function toMark(what: Mark["what"], sequence: number, at: number): Mark {
  return { kind: "mark", sequence, from: at, to: at, what };
}

export function isLive(state: CallState): boolean {
  return state.report !== null && state.following !== "over" && state.following !== "not-found";
}

/**
 * From when to when the axis goes: from when the client was there, and on to what is last.
 *
 * @param now On this machine's clock; how far a call goes on that has not ended.
 */
export function spanOf(state: CallState, now: number): { from: number; to: number } {
  const { entries, report } = state;
  const created = report ? Date.parse(report.created_at) : now - state.skewMs;
  const came = entries.filter(({ kind }) => kind !== "mark").map(({ from }) => from);
  const joined = entries.find((entry) => entry.kind === "mark" && entry.what === "joined");
  const from = Math.min(...came, joined?.from ?? Infinity);
  const begin = Number.isFinite(from) ? from : created;
  const last = entries.reduce((latest, entry) => Math.max(latest, entry.to ?? entry.from), begin);
  const until = isLive(state) ? now - state.skewMs : last;
  return { from: begin, to: Math.max(until, last, begin + 1000) };
}
