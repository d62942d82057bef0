import { describe, expect, it } from "vitest";
import { VOICE_STATES } from "../session/types";
import { initialCall, isLive, reduce, spanOf } from "./call";
import type { CallEvent, CallState, Entry } from "./call";
import { EVENTS, SESSION } from "./fixtures";

const NOON = Date.parse("2026-11-22T12:00:00Z");
/** This machine's clock is five seconds ahead. */
const SKEW = 5000;

function after(...events: CallEvent[]): CallState {
  return events.reduce(reduce, initialCall);
}

function told(...kinds: string[]): CallEvent[] {
  return EVENTS.filter(({ event }) => kinds.length === 0 || kinds.includes(event)).map(
    (happening) => ({
      type: "happened",
      happening,
      at: Date.parse(happening.data.at) + SKEW,
    }),
  );
}

const REPORT: CallEvent = { type: "report", report: { ...SESSION, is_active: true } };

function entry<Kind extends Entry["kind"]>(
  state: CallState,
  kind: Kind,
): Extract<Entry, { kind: Kind }>[] {
  return state.entries.filter(
    (it): it is Extract<Entry, { kind: Kind }> => it.kind === kind,
  );
}

describe("a call that is told of", () => {
  it("has everything in the order in which it began, tools once", () => {
    const state = after(REPORT, ...told());
    expect(state.entries.map(({ kind, from }) => [kind, (from - NOON) / 1000])).toEqual([
      ["mark", 0],
      ["mark", 1],
      ["turn", 1.5],
      ["turn", 2.6],
      ["wait", 6],
      ["tool", 6.3],
      ["turn", 6.612],
      ["mark", 24],
      ["mark", 24.5],
    ]);
    expect(entry(state, "tool")[0]).toMatchObject({ outcome: "completed", result: { price: 12 } });
  });

  it("is the same when it is told of again, after the connection was lost", () => {
    const state = after(REPORT, ...told("started", "turn"), { type: "lost" });
    expect(state.following).toBe("lost");
    const again = told().reduce(reduce, state);
    expect(again.entries).toEqual(after(REPORT, ...told()).entries);
  });

  it("says what of an interrupted answer was not heard", () => {
    const [greeting, ...others] = entry(after(...told("turn")), "turn");
    expect(greeting).toMatchObject({ heard: "Hello,", unheard: "what can I do for you?" });
    expect(others.map(({ unheard }) => unheard)).toEqual(["", ""]);
  });

  it("divides a wait into its stages, one after the other, up to the bot's first sound", () => {
    const [wait] = entry(after(...told("answer")), "wait");
    expect(wait?.stages.map(({ name, from }) => [name, from - (wait.to - 612)])).toEqual([
      ["endpointing_wait", 0],
      ["transcription", 200],
      ["llm_inference", 240],
      ["speech_synthesis", 500],
      ["pipeline", 590],
    ]);
    expect(wait?.madeAhead).toBe(true);
  });

  it("knows what the bot does, in words that the client has", () => {
    const state = after(REPORT, ...told("state"));
    expect(state.voiceState).toBe("speaking");
    expect(VOICE_STATES).toContain(state.voiceState);
    expect(state.skewMs).toBe(SKEW);
  });

  it("is over when it has ended, and not lost after that", () => {
    const state = after(REPORT, ...told(), { type: "lost" });
    expect([state.following, state.endReason, isLive(state)]).toEqual(["over", "hung_up", false]);
    expect(isLive(after(REPORT, ...told("turn")))).toBe(true);
    expect(isLive(after({ type: "report", report: SESSION }))).toBe(false);
  });

  it("does not mind what a newer service tells", () => {
    const happening = { event: "danced", data: { at: "", sequence: 9, data: {} } };
    const event = { type: "happened", happening, at: 0 } as unknown as CallEvent;
    expect(after(event).entries).toEqual([]);
  });
});

describe("the axis of a call", () => {
  it("begins when the client was there, and ends with it", () => {
    const span = spanOf(after(REPORT, ...told()), 0);
    expect([span.from - NOON, span.to - NOON]).toEqual([1000, 24_500]);
  });

  it("goes on with a call that goes on, by the clock of the service", () => {
    const state = after(REPORT, ...told("joined", "state", "turn"));
    expect(spanOf(state, NOON + SKEW + 60_000).to - NOON).toBe(60_000);
  });

  it("is there before anything has happened", () => {
    const span = spanOf(after(REPORT), NOON + 100);
    expect([span.from - NOON, span.to - NOON]).toEqual([0, 1000]);
  });
});
