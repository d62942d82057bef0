import { describe, expect, it } from "vitest";
import { toEntry } from "./records";

const TURN = {
  type: "turn",
  sequence: 2,
  speaker: "bot",
  heard: "We are",
  spoken: "We are open until six. ",
  interrupted: true,
  started_at: "2026-03-04T10:00:00Z",
  ended_at: "2026-03-04T10:00:02Z",
} as const;

describe("a turn of a past call", () => {
  it("shows what was not heard behind what was, with the blank between", () => {
    expect(toEntry(TURN)).toMatchObject({ text: "We are", unheard: " open until six." });
  });

  it("shows nothing unheard where nobody interrupted, or all was heard", () => {
    expect(toEntry({ ...TURN, interrupted: false })).not.toHaveProperty("unheard");
    expect(toEntry({ ...TURN, heard: TURN.spoken })).not.toHaveProperty("unheard");
  });

  it("begins and ends at the server's times", () => {
    const { at, endedAt } = toEntry(TURN);
    expect((endedAt ?? 0) - at).toBe(2000);
  });
});
