import { describe, expect, it } from "vitest";
import { initialState, reduce } from "./reducer";
import type { BotOutput, SessionEvent, SessionState, ToolOutcome } from "./types";

const T0 = 1_000_000;

function after(...events: SessionEvent[]): SessionState {
  return events.reduce(reduce, initialState);
}

/** A call that is up, with a server that publishes its voice state. */
const UP: SessionEvent[] = [
  { type: "start", agent: "sales", writing: false },
  { type: "connected" },
  { type: "bot-ready", at: T0 },
  { type: "voice-state", state: "listening", at: T0 },
];

/** The same with a stock server that does not. */
const STOCK: SessionEvent[] = UP.slice(0, 3);

function output(
  text: string,
  status: BotOutput["status"],
  { id = 1, accumulated = "", willBeSpoken = true } = {},
): BotOutput {
  return { text, segmentId: id, status, accumulated, willBeSpoken };
}

function said(
  text: string,
  status: BotOutput["status"],
  at = T0,
  options: { id?: number; accumulated?: string; willBeSpoken?: boolean } = {},
): SessionEvent {
  return { type: "bot-output", output: output(text, status, options), at };
}

function heard(text: string, final: boolean, at = T0): SessionEvent {
  return { type: "user-transcript", text, final, at };
}

function lines(state: SessionState): [string, string, boolean, boolean][] {
  return state.transcript.map((entry) => [entry.role, entry.text, entry.final, entry.interrupted]);
}

describe("the voice state", () => {
  it("goes from connecting to initializing to listening", () => {
    const states = UP.map((_, i) => after(...UP.slice(0, i + 1)).voiceState);
    expect(states).toEqual(["connecting", "initializing", "listening", "listening"]);
  });

  it("is what the server says during a call", () => {
    const state = after(...UP, { type: "voice-state", state: "thinking", at: T0 });
    expect(state.voiceState).toBe("thinking");
    expect(reduce(state, { type: "bot-started", at: T0 }).voiceState).toBe("thinking");
  });

  it("waits for the server to listen when the server leads", () => {
    const state = after(
      { type: "start", agent: "sales", writing: false },
      { type: "connected" },
      { type: "voice-state", state: "initializing", at: T0 },
      { type: "bot-ready", at: T0 },
    );
    expect(state.voiceState).toBe("initializing");
  });

  it("is not put back to initializing by a server that was quicker than the client", () => {
    const state = after(
      { type: "start", agent: "sales", writing: false },
      { type: "voice-state", state: "listening", at: T0 },
      { type: "connected" },
    );
    expect(state.voiceState).toBe("listening");
  });

  it("does not take connecting or disconnected from the server", () => {
    const state = after(
      ...UP,
      { type: "voice-state", state: "disconnected", at: T0 },
      { type: "voice-state", state: "connecting", at: T0 },
    );
    expect(state.voiceState).toBe("listening");
  });

  it("stays disconnecting until the end, whatever comes in", () => {
    const state = after(
      ...UP,
      { type: "ending" },
      { type: "voice-state", state: "speaking", at: T0 },
      { type: "bot-started", at: T0 },
    );
    expect(state.voiceState).toBe("disconnecting");
    expect(reduce(state, { type: "ended", by: "user", at: T0 }).voiceState).toBe("disconnected");
  });

  it("ignores late events once disconnected", () => {
    const ended = after(...UP, { type: "ended", by: "user", at: T0 });
    expect(reduce(ended, { type: "voice-state", state: "listening", at: T0 })).toBe(ended);
    expect(reduce(ended, heard("hello", true))).toBe(ended);
  });

  it("is derived from the turns when the server does not publish it", () => {
    const turn: SessionEvent[] = [
      { type: "user-started", at: T0 },
      { type: "user-stopped" },
      { type: "bot-thinking" },
      { type: "bot-started", at: T0 },
      { type: "bot-stopped", at: T0 },
    ];
    const states = turn.map((_, i) => after(...STOCK, ...turn.slice(0, i + 1)).voiceState);
    expect(states).toEqual(["processing", "thinking", "thinking", "speaking", "listening"]);
  });

  it("keeps hearing the user when the bot was cut off", () => {
    const state = after(
      ...STOCK,
      { type: "bot-started", at: T0 },
      { type: "user-started", at: T0 },
      { type: "bot-stopped", at: T0 },
    );
    expect(state.voiceState).toBe("processing");
  });
});

describe("the user's words", () => {
  it("comes before the answer where that has begun before it is told", () => {
    const answering = after(
      ...UP,
      { type: "user-started", at: T0 },
      { type: "user-stopped" },
      { type: "bot-started", at: T0 + 500 },
      said("No, we are closed on Sundays.", "in-progress", T0 + 500, { accumulated: "No, we" }),
    );
    const told = reduce(answering, heard("Are you open on Sunday?", true, T0 + 800));
    const done = reduce(told, said("No, we are closed on Sundays.", "completed", T0 + 2000));
    expect(lines(done).slice(-2)).toEqual([
      ["user", "Are you open on Sunday?", true, false],
      ["bot", "No, we are closed on Sundays.", false, false],
    ]);
    const [question, answer] = done.transcript.slice(-2);
    expect(answer?.sequence).toBe((question?.sequence ?? 0) + 1);
  });

  it("is answered in one entry by a service that hears and speaks, word by word", () => {
    const words = ["No,", " we", " are", " closed."].map((word, i) =>
      said(word, "new", T0 + 1000 + i * 200, { id: i, willBeSpoken: false }),
    );
    const state = after(
      ...UP,
      { type: "bot-thinking" },
      { type: "bot-started", at: T0 + 900 },
      { type: "bot-wrote", at: T0 + 950 },
      ...words,
      { type: "bot-stopped", at: T0 + 2000 },
    );
    expect(lines(state)).toEqual([["bot", "No, we are closed.", true, false]]);
  });

  it("comes behind an answer that is spoken over", () => {
    const spokenOver = after(
      ...UP,
      { type: "bot-started", at: T0 },
      said("We are open until six.", "in-progress", T0, { accumulated: "We are" }),
      { type: "user-started", at: T0 + 500 },
      heard("Wait", false, T0 + 900),
    );
    expect(lines(spokenOver).map(([role]) => role)).toEqual(["bot", "user"]);
  });

  it("replace the interim words before them", () => {
    const state = after(...UP, heard("What", false), heard("What are", false));
    expect(lines(state)).toEqual([["user", "What are", false, false]]);
  });

  it("stay once they are final", () => {
    const state = after(...UP, heard("What are", false), heard("What are your hours?", true));
    expect(lines(state)).toEqual([["user", "What are your hours?", true, false]]);
  });

  it("of one turn are one entry", () => {
    const state = after(
      ...UP,
      heard("I need", true),
      heard("a doc", false),
      heard("a doctor.", true),
    );
    expect(lines(state)).toEqual([["user", "I need a doctor.", true, false]]);
  });

  it("of another turn are another entry", () => {
    const state = after(
      ...UP,
      heard("Hello.", true),
      said("Hi.", "completed"),
      { type: "bot-stopped", at: T0 },
      heard("Bye.", true),
    );
    expect(lines(state).map(([role]) => role)).toEqual(["user", "bot", "user"]);
  });

  it("that become final after the bot has begun stay before it", () => {
    const state = after(
      ...UP,
      heard("Hel", false),
      said("Hi.", "completed"),
      heard("Hello.", true),
    );
    expect(lines(state).map(([, text]) => text)).toEqual(["Hello.", "Hi."]);
  });

  it("that are only blanks make no entry", () => {
    expect(after(...UP, heard("  ", true)).transcript).toEqual([]);
  });
});

describe("the bot's words", () => {
  it("appear as they sound when the voice tells its words", () => {
    const text = "Hello, how can I help?";
    const begun = after(...UP, said(text, "new"));
    expect(lines(begun)).toEqual([["bot", "", false, false]]);
    const going = reduce(begun, said(text, "in-progress", T0 + 300, { accumulated: "Hello, how" }));
    expect(lines(going)).toEqual([["bot", "Hello, how", false, false]]);
    const later = reduce(going, { type: "tick", at: T0 + 9000 });
    expect(lines(later)).toEqual([["bot", "Hello, how", false, false]]);
  });

  it("appear at the pace of speech when the voice tells only whole sentences", () => {
    const text = "We are open from eight to six on every weekday.";
    const begun = after(...UP, said(text, "new"));
    expect(reduce(begun, { type: "tick", at: T0 + 1000 }).transcript[0]?.text).toBe("We are open");
    const late = reduce(begun, { type: "tick", at: T0 + 60_000 });
    expect(late.transcript[0]?.text).toBe("We are open from eight to six on every");
    const done = reduce(late, said(text, "completed", T0 + 3500));
    expect(done.transcript[0]?.text).toBe(text);
  });

  it("teach the pace of the voice", () => {
    const text = "We are open from eight to six on every weekday.";
    const slow = after(...UP, said(text, "new"), said(text, "completed", T0 + 6000));
    expect(slow.speechRate).toBeLessThan(initialState.speechRate);
  });

  it("wait for the sentence before them", () => {
    const state = after(
      ...UP,
      said("First one here.", "new", T0, { id: 1 }),
      said("Second one here.", "new", T0, { id: 2 }),
      { type: "tick", at: T0 + 60_000 },
    );
    expect(state.transcript[0]?.text).toBe("First one");
  });

  it("of one reply are one entry", () => {
    const state = after(
      ...UP,
      said("One.", "completed", T0, { id: 1 }),
      said("Two.", "completed", T0, { id: 2 }),
      { type: "bot-stopped", at: T0 },
    );
    expect(lines(state)).toEqual([["bot", "One. Two.", true, false]]);
  });

  it("go on in the same entry after a short pause, and in another after a long one", () => {
    const paused = after(...UP, said("One.", "completed", T0, { id: 1 }), {
      type: "bot-stopped",
      at: T0,
    });
    const soon = reduce(paused, said("Two.", "completed", T0 + 1000, { id: 2 }));
    expect(lines(soon)).toEqual([["bot", "One. Two.", false, false]]);
    const told = after(
      ...UP,
      said("One.", "completed", T0, { id: 1 }),
      { type: "bot-stopped", at: T0 },
      { type: "bot-started", at: T0 + 1000 },
      said("Two.", "completed", T0 + 4000, { id: 2 }),
    );
    expect(lines(told)).toEqual([["bot", "One. Two.", false, false]]);
    const late = reduce(paused, said("Still there?", "completed", T0 + 20_000, { id: 2 }));
    expect(lines(late).map(([, text]) => text)).toEqual(["One.", "Still there?"]);
  });

  it("that are not to be spoken appear at once", () => {
    const state = after(...UP, said("print(1)", "new", T0, { willBeSpoken: false }));
    expect(state.transcript[0]?.text).toBe("print(1)");
  });

  it("that were cut off are marked, and what was not heard is kept apart", () => {
    const text = "We are open from eight to six on every weekday.";
    const state = after(
      ...UP,
      said(text, "new"),
      said("Except in May.", "new", T0, { id: 2 }),
      { type: "bot-interrupted", at: T0 + 1000 },
      { type: "bot-stopped", at: T0 + 1010 },
      said(text, "in-progress", T0 + 1020, { accumulated: text }),
    );
    expect(lines(state)).toEqual([["bot", "We are open", true, true]]);
    expect(state.transcript[0]).toMatchObject({
      endedAt: T0 + 1000,
      unheard: " from eight to six on every weekday. Except in May.",
    });
  });

  it("that were cut off in a word are kept as one word", () => {
    const text = "Hello, how can I help?";
    const cut = (accumulated: string): string | undefined =>
      after(
        ...UP,
        said(text, "new"),
        said(text, "in-progress", T0 + 300, { accumulated }),
        { type: "bot-interrupted", at: T0 + 400 },
      ).transcript[0]?.unheard;
    expect(cut("Hello")).toBe(", how can I help?");
    expect(cut("Hello, ")).toBe(" how can I help?");
  });

  it("that were cut off before they sounded leave no entry", () => {
    const state = after(...UP, said("Hello.", "new"), { type: "bot-interrupted", at: T0 });
    expect(state.transcript).toEqual([]);
  });

  it("that had all sounded are not marked by an interruption", () => {
    const state = after(
      ...UP,
      said("Hello.", "completed"),
      { type: "bot-stopped", at: T0 },
      { type: "bot-interrupted", at: T0 + 5000 },
    );
    expect(lines(state)).toEqual([["bot", "Hello.", true, false]]);
  });
});

describe("tools", () => {
  const started: SessionEvent = {
    type: "tool-started",
    callId: "a",
    name: "book",
    arguments: { day: "Sunday" },
    at: T0,
  };
  const stopped = (outcome: ToolOutcome, at = T0 + 1200): SessionEvent => ({
    type: "tool-stopped",
    callId: "a",
    outcome,
    at,
  });

  it("are shown from their start to their end, once", () => {
    const running = after(...UP, started, started);
    expect(lines(running)).toEqual([["tool", "book", false, false]]);
    expect(running.transcript[0]?.tool).toEqual({
      callId: "a",
      outcome: "running",
      arguments: { day: "Sunday" },
    });
    const done = reduce(running, {
      type: "tool-stopped",
      callId: "a",
      outcome: "completed",
      result: { booked: true },
      at: T0 + 1200,
    });
    expect(done.transcript[0]).toMatchObject({
      final: true,
      endedAt: T0 + 1200,
      tool: { outcome: "completed", arguments: { day: "Sunday" }, result: { booked: true } },
    });
  });

  it("can be cancelled", () => {
    const { transcript } = after(...UP, started, stopped("cancelled"));
    expect(transcript[0]?.tool?.outcome).toBe("cancelled");
  });

  it("have failed, whether that is told before or after they are over", () => {
    const told = [stopped("completed"), stopped("failed", T0 + 1300)];
    for (const order of [told, told.toReversed()]) {
      const { transcript } = after(...UP, started, ...order);
      expect(transcript[0]?.tool?.outcome).toBe("failed");
    }
    expect(after(...UP, stopped("failed")).transcript).toEqual([]);
  });

  it("that run at the end of a call stay unfinished", () => {
    const { transcript } = after(...UP, started, { type: "ended", by: "user", at: T0 + 500 });
    expect(transcript[0]).toMatchObject({ final: true, tool: { outcome: "running" } });
  });
});

describe("entries", () => {
  it("have numbers of their own, also where one before them is taken out", () => {
    const state = after(
      ...UP,
      heard("Hello.", true),
      said("Hi.", "new"),
      { type: "tool-started", callId: "a", name: "book", at: T0 },
      { type: "bot-interrupted", at: T0 },
      heard("Bye.", true),
    );
    expect(state.transcript.map(({ sequence, text }) => [sequence, text])).toEqual([
      [1, "Hello."],
      [3, "book"],
      [4, "Bye."],
    ]);
  });

  it("begin when the user began to speak, and end with their last word", () => {
    const state = after(
      ...UP,
      { type: "user-started", at: T0 + 100 },
      heard("Hello", false, T0 + 700),
      heard("Hello there.", true, T0 + 900),
      said("Hi.", "completed", T0 + 1500),
      { type: "bot-stopped", at: T0 + 2000 },
      heard("typed", true, T0 + 5000),
    );
    expect(state.transcript.map(({ at, endedAt }) => [at - T0, endedAt && endedAt - T0])).toEqual([
      [100, 900],
      [1500, 2000],
      [5000, 5000],
    ]);
  });

  it("that did not change stay the same objects", () => {
    const before = after(
      ...UP,
      heard("Hello.", true),
      said("We are open from eight to six.", "new"),
    );
    const later = reduce(before, { type: "tick", at: T0 + 1000 });
    expect(later.transcript[1]?.text).toBe("We are open");
    expect(later.transcript[0]).toBe(before.transcript[0]);
  });
});

describe("the end of a call", () => {
  it("keeps the transcript and closes what was open", () => {
    const state = after(...UP, heard("Hello", false), { type: "ended", by: "bot", at: T0 + 5000 });
    expect(lines(state)).toEqual([["user", "Hello", true, false]]);
    expect(state).toMatchObject({ endedBy: "bot", endedAt: T0 + 5000, startedAt: T0 });
  });

  it("with an error tells it and keeps the transcript", () => {
    const state = after(...UP, heard("Hello.", true), {
      type: "failed",
      error: { kind: "connection-lost" },
      at: T0,
    });
    expect(state).toMatchObject({ voiceState: "disconnected", error: { kind: "connection-lost" } });
    expect(state.transcript).toHaveLength(1);
    expect(reduce(state, { type: "dismiss-error" }).error).toBeNull();
  });

  it("is followed by a call that begins empty", () => {
    const state = after(
      ...UP,
      heard("Hello.", true),
      { type: "muted", muted: true },
      { type: "ended", by: "user", at: T0 },
      { type: "start", agent: "sales", writing: false },
    );
    expect(state).toEqual({ ...initialState, agent: "sales", voiceState: "connecting" });
  });

  it("does not change a state that a tick finds up to date", () => {
    const state = after(...UP, heard("Hello.", true));
    expect(reduce(state, { type: "tick", at: T0 + 500 })).toBe(state);
    expect(reduce(state, { type: "unstable", unstable: false })).toBe(state);
  });

  it("says nothing of how good a connection is that carries nothing", () => {
    const quality = { level: "good", roundTripMs: 40, jitterMs: 2, lossPercent: 0 } as const;
    const broken = after(...UP, { type: "quality", quality }, { type: "unstable", unstable: true });
    expect(broken).toMatchObject({ unstable: true, quality: null });
    expect(reduce(broken, { type: "quality", quality }).quality).toBeNull();
    const back = reduce(broken, { type: "unstable", unstable: false });
    expect(reduce(back, { type: "quality", quality }).quality).toEqual(quality);
  });
});

describe("a conversation in writing", () => {
  const WRITING: SessionEvent[] = [
    ...UP,
    { type: "writing", writing: true },
    { type: "user-wrote", text: "Are you open?", at: T0 },
  ];

  it("keeps what the user writes apart from what they say", () => {
    const state = after(...WRITING, { type: "user-wrote", text: "Hello?", at: T0 }, heard("Hi.", true));
    expect(lines(state).map(([, text]) => text)).toEqual(["Are you open?", "Hello?", "Hi."]);
  });

  it("shows an answer that is not spoken as it is written, and when it is whole", () => {
    const written = { willBeSpoken: false };
    const begun: SessionEvent[] = [{ type: "bot-thinking" }, said("Yes.", "new", T0, written)];
    const state = after(...WRITING, ...begun);
    expect(lines(state).at(-1)).toEqual(["bot", "Yes.", false, false]);
    const whole = reduce(state, { type: "bot-wrote", at: T0 + 9 });
    expect(whole.transcript.at(-1)).toMatchObject({ final: true, endedAt: T0 + 9 });
    const late = reduce(whole, said("We are.", "new", T0 + 10, { ...written, id: 2 }));
    expect(lines(late).at(-1)).toEqual(["bot", "Yes. We are.", true, false]);
  });

  it("does not finish an answer that is spoken when it is written", () => {
    const state = after(...WRITING, said("Good morning.", "new"), { type: "bot-wrote", at: T0 });
    expect(state.transcript.at(-1)?.final).toBe(false);
  });
});

describe("a connection that is lost", () => {
  const LOST = [...UP, said("Good morning.", "completed"), { type: "lost", at: T0 }] as SessionEvent[];

  it("leaves the transcript and the time of the call, and is being come back to", () => {
    const state = after(...LOST);
    expect(state).toMatchObject({
      voiceState: "connecting",
      connected: false,
      comingBack: true,
      startedAt: T0,
    });
    expect(lines(state)).toEqual([["bot", "Good morning.", true, true]]);
  });

  it("is followed by one in which the call goes on", () => {
    const back: SessionEvent[] = [{ type: "connected" }, { type: "bot-ready", at: T0 + 9000 }];
    const state = after(...LOST, ...back, said("I am back.", "completed"));
    expect(state).toMatchObject({ voiceState: "listening", comingBack: false, startedAt: T0 });
    expect(state.transcript.map(({ text }) => text)).toEqual(["Good morning.", "I am back."]);
  });
});

describe("the response times", () => {
  const took = (totalMs: number): SessionEvent => ({
    type: "turn-latency",
    latency: { totalMs, stages: [], madeAhead: true, withdrawn: 0 },
  });

  it("are kept for the last twenty answers of a call", () => {
    const state = after(...UP, ...Array.from({ length: 25 }, (_, i) => took(i)));
    expect(state.latencies.map(({ totalMs }) => totalMs)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 5),
    );
    expect(reduce(state, { type: "start", agent: "sales", writing: false }).latencies).toEqual([]);
  });
});
