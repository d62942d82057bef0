import { describe, expect, it } from "vitest";
import json from "../../fixtures/transcript.json?raw";
import text from "../../fixtures/transcript.txt?raw";
import vtt from "../../fixtures/transcript.vtt?raw";
import { FORMATS } from "./export";
import type { TranscriptEntry } from "./types";

const NOON = Date.parse("2026-11-22T12:00:00Z");

function entry(
  sequence: number,
  fromMs: number,
  toMs: number | null,
  change: Partial<TranscriptEntry> & Pick<TranscriptEntry, "role" | "text">,
): TranscriptEntry {
  const endedAt = toMs === null ? null : NOON + toMs;
  return { sequence, at: NOON + fromMs, endedAt, final: true, interrupted: false, ...change };
}

const ENTRIES: TranscriptEntry[] = [
  entry(1, 250, 1750, { role: "bot", text: "How can I help?" }),
  entry(2, 2000, 3500, { role: "user", text: "Tom & I --> <b>Sunday</b>\n\nat ten" }),
  entry(3, 4000, 5000, {
    role: "tool",
    text: "book_appointment",
    tool: {
      callId: "c1",
      outcome: "completed",
      arguments: { day: "Sunday" },
      result: { booked: true },
    },
  }),
  entry(4, 6000, null, {
    role: "tool",
    text: "send_reminder",
    tool: { callId: "c2", outcome: "running" },
  }),
  entry(5, 7000, 7500, { role: "bot", text: "" }),
  entry(6, 3_661_000, 3_663_000, {
    role: "bot",
    text: "It is",
    interrupted: true,
    unheard: " booked for Sunday.",
  }),
  entry(7, 3_664_000, 3_664_000, { role: "user", text: "typed" }),
];

const CALL = { agent: "receptionist", startedAt: NOON, endedAt: NOON + 3_670_000 };

describe("a transcript", () => {
  // tests/unit/test_transcripts.py holds the server's transcripts against the same files.
  it.each([
    ["txt", text],
    ["json", json],
    ["vtt", vtt],
  ])("is written as %s as the server writes it", (extension, expected) => {
    const format = FORMATS.find((known) => known.extension === extension);
    expect(format?.write(ENTRIES, CALL)).toBe(expected);
  });

  it("has nothing that was not heard", () => {
    for (const { write } of FORMATS) expect(write(ENTRIES, CALL)).not.toContain("booked for");
  });

  it("can be written while somebody speaks", () => {
    const [bot] = ENTRIES;
    if (!bot) throw new Error("there is an entry");
    const going = [{ ...bot, final: false, endedAt: null }];
    const [json, vtt] = ["json", "vtt"].map((extension) =>
      FORMATS.find((known) => known.extension === extension)?.write(going, {
        ...CALL,
        endedAt: null,
      }),
    );
    expect(JSON.parse(json ?? "")).toMatchObject({
      ended_at: null,
      entries: [{ started_at: "2026-11-22T12:00:00.250Z", ended_at: "2026-11-22T12:00:00.250Z" }],
    });
    expect(vtt).toContain("00:00:00.250 --> 00:00:01.250");
  });
});
