import { describe, expect, it } from "vitest";
import { initialConversation, reduceConversation } from "./conversation";
import type { Conversation, ConversationEvent } from "./conversation";
import type { ServerMessage } from "./messages";
import { parseMessage } from "./messages";
import type { Protocol } from "./protocol";
import { REALTIME } from "./realtime";
import { SANDWICH } from "./sandwich";
import { VOICE_AGENT } from "./voiceAgent";

type Told = ServerMessage | Exclude<ConversationEvent, { type: "message" }>;

const AT = 1_000_000;

function isEvent(told: Told): told is Exclude<ConversationEvent, { type: "message" }> {
  return parseMessage(JSON.stringify(told)) === null;
}

/** A conversation in which that has happened, a second each time after the other. */
function after(protocol: Protocol, ...told: Told[]): Conversation {
  const begun: Conversation = { ...initialConversation, voiceState: "listening" };
  return told.reduce(
    (state, one, i) =>
      isEvent(one) ? reduceConversation(state, one) : protocol.reduce(state, one, AT + i * 1000),
    begun,
  );
}

/** [role, text, final, interrupted] of each entry. */
function lines({ transcript }: Conversation) {
  return transcript.map(({ role, text, final, interrupted }) => [role, text, final, interrupted]);
}

describe("any conversation", () => {
  it("goes from the microphone to where the user may speak", () => {
    let state = reduceConversation(initialConversation, { type: "start", handsFree: false });
    state = reduceConversation(state, { type: "asking-for-microphone", asking: true });
    expect(state).toMatchObject({ voiceState: "connecting", askingForMicrophone: true });
    state = reduceConversation(state, { type: "opened", isReady: false });
    expect(state.voiceState).toBe("initializing");
    expect(reduceConversation(state, { type: "opened", isReady: true }).voiceState).toBe("listening");
  });

  it("keeps what was said where the connection is lost, and comes back to it", () => {
    const asked: Told[] = [
      { type: "held" },
      { type: "transcription", text: "Are you open?", is_final: true },
      { type: "llm_response", text: "Yes, until six." },
      { type: "lost" },
    ];
    const lost = after(VOICE_AGENT, ...asked);
    expect(lost).toMatchObject({ voiceState: "connecting", unstable: true, held: false });
    expect(lines(lost).at(-1)).toEqual(["bot", "Yes, until six.", true, true]);
    const back = after(VOICE_AGENT, ...asked, { type: "opened", isReady: true });
    expect(back).toMatchObject({ voiceState: "listening", unstable: false });
    expect(back.transcript).toHaveLength(2);
  });

  it("tells a tap from an utterance", () => {
    expect(after(VOICE_AGENT, { type: "held" }, { type: "let-go", heldMs: 90 }).tooShort).toBe(true);
    const spoken = after(VOICE_AGENT, { type: "held" }, { type: "let-go", heldMs: 900 });
    expect(spoken).toMatchObject({ tooShort: false, held: false, voiceState: "thinking" });
  });

  it("goes on after an error, and says whose it is", () => {
    const failed = after(SANDWICH, { type: "error", message: "Slow.", code: "SERVICE_FAILED" });
    expect(failed).toMatchObject({
      voiceState: "listening",
      notice: { kind: "service-failed", detail: "Slow." },
    });
    const unheard = after(SANDWICH, { type: "error", message: "Noise.", code: "AUDIO_INVALID" });
    expect(unheard.notice?.kind).toBe("not-heard");
  });

  it("ends with an error, and nothing happens any more until it is started again", () => {
    const over = after(
      REALTIME,
      { type: "audio", data: "AAAA" },
      { type: "muted", muted: true },
      { type: "failed", error: { kind: "server-busy" } },
      { type: "held" },
    );
    expect(over).toMatchObject({ voiceState: "disconnected", held: false, muted: false });
    expect(over.transcript.every(({ final }) => final)).toBe(true);
    const again = reduceConversation(over, { type: "start", handsFree: true });
    expect(again).toEqual({ ...initialConversation, voiceState: "connecting", handsFree: true });
  });
});

describe("push to talk", () => {
  const ASKED: Told[] = [
    { type: "held" },
    { type: "transcription", text: "Are you", is_final: false },
    { type: "let-go", heldMs: 1500 },
    { type: "status_update", status: "processing" },
    { type: "transcription", text: "Are you open?", is_final: true },
  ];

  it("is ready when the service says so", () => {
    const state = { ...initialConversation, voiceState: "initializing" as const };
    const hello = { type: "connection_established", session_id: "1", agent: "sales" } as const;
    expect(VOICE_AGENT.reduce(state, hello, AT).voiceState).toBe("listening");
  });

  it("goes through an utterance and its answer", () => {
    expect(after(VOICE_AGENT, ...ASKED.slice(0, 2))).toMatchObject({
      voiceState: "processing",
      transcript: [{ text: "Are you", final: false }],
    });
    expect(after(VOICE_AGENT, ...ASKED).voiceState).toBe("thinking");
    const spoken: Told[] = [
      ...ASKED,
      { type: "llm_response", text: "Yes." },
      { type: "status_update", status: "generating_audio" },
      { type: "llm_response", text: "Until six." },
    ];
    expect(after(VOICE_AGENT, ...spoken).voiceState).toBe("speaking");
    const done = after(VOICE_AGENT, ...spoken, { type: "status_update", status: "idle" });
    expect(done.voiceState).toBe("listening");
    expect(lines(done)).toEqual([
      ["user", "Are you open?", true, false],
      ["bot", "Yes. Until six.", true, false],
    ]);
  });

  it("is interrupted by the button, before the service notices", () => {
    const state = after(
      VOICE_AGENT,
      ...ASKED,
      { type: "llm_response", text: "Yes." },
      { type: "status_update", status: "generating_audio" },
      { type: "held" },
    );
    expect(state.voiceState).toBe("processing");
    expect(lines(state).at(-1)).toEqual(["bot", "Yes.", true, true]);
    const told = reduceConversation(state, { type: "muted", muted: false });
    expect(
      VOICE_AGENT.reduce(told, { type: "status_update", status: "idle" }, AT).voiceState,
    ).toBe("processing");
  });

  it("plays MP3, and tells when another answer begins", () => {
    expect(VOICE_AGENT.sounding({ type: "audio_response", data: "AA==" })).toEqual({ play: "AA==" });
    const status = (status: string) => VOICE_AGENT.sounding({ type: "status_update", status });
    expect([status("processing"), status("generating_audio"), status("idle")]).toEqual([
      null,
      "another",
      "another",
    ]);
  });
});

describe("the sandwich", () => {
  const tool = { name: "get_price", args: { plan: "team" } };

  it("tells each step of an utterance", () => {
    const told: Told[] = [
      { type: "held" },
      { type: "stt_partial", text: "What is" },
      { type: "let-go", heldMs: 1500 },
      { type: "stt_final", text: "What is the price?" },
      { type: "agent_tool", tool },
      { type: "agent_chunk", text: "It is" },
      { type: "agent_chunk", text: " ten dollars." },
    ];
    expect(after(SANDWICH, ...told.slice(0, 2)).steps).toMatchObject({
      heard: "What is",
      isHeard: false,
    });
    const late = { type: "stt_partial", text: "What is the" } as const;
    expect(after(SANDWICH, ...told.slice(0, 3), late).voiceState).toBe("thinking");
    const written = after(SANDWICH, ...told);
    expect(written.voiceState).toBe("thinking");
    expect(written.steps).toEqual({
      heard: "What is the price?",
      isHeard: true,
      tools: [tool],
      written: "It is ten dollars.",
      isSpoken: false,
      isOver: false,
    });
    const speaking = after(SANDWICH, ...told, { type: "tts_audio", data: "AAAA" });
    expect(speaking.voiceState).toBe("speaking");
    const done = SANDWICH.reduce(speaking, { type: "complete" }, AT);
    expect(done).toMatchObject({ voiceState: "listening", steps: { isSpoken: true, isOver: true } });
    expect(lines(done)).toEqual([
      ["user", "What is the price?", true, false],
      ["tool", "get_price", true, false],
      ["bot", "It is ten dollars.", true, false],
    ]);
    const next = SANDWICH.reduce(done, { type: "stt_partial", text: "And" }, AT);
    expect(next.steps).toMatchObject({ heard: "And", tools: [], written: "", isSpoken: false });
  });

  it("does not stir while it speaks", () => {
    const speaking = after(SANDWICH, { type: "tts_audio", data: "AAAA" });
    expect(SANDWICH.reduce(speaking, { type: "tts_audio", data: "AAAA" }, AT)).toBe(speaking);
  });

  it("stays with the user who holds the button when the answer before is over", () => {
    const state = after(
      SANDWICH,
      { type: "agent_chunk", text: "It is" },
      { type: "tts_audio", data: "AAAA" },
      { type: "held" },
      { type: "complete" },
    );
    expect(state.voiceState).toBe("processing");
    expect(lines(state)).toEqual([["bot", "It is", true, true]]);
  });
});

describe("realtime", () => {
  it("follows either side", () => {
    const told: Told[] = [
      { type: "speech_started" },
      { type: "speech_ended" },
      { type: "transcript", text: "Are you open?" },
      { type: "audio", data: "AAAA" },
      { type: "audio", data: "AAAA" },
      { type: "done" },
    ];
    const states = told.map((_, i) => after(REALTIME, ...told.slice(0, i + 1)).voiceState);
    expect(states).toEqual([
      "processing",
      "thinking",
      "thinking",
      "speaking",
      "speaking",
      "listening",
    ]);
    expect(lines(after(REALTIME, ...told))).toEqual([
      ["user", "Are you open?", true, false],
      ["bot", "Spoke for 1 s", true, false],
    ]);
  });

  it("keeps how long the agent spoke when the call ends meanwhile", () => {
    const spoken: Told[] = Array.from({ length: 4 }, () => ({ type: "audio", data: "AAAA" }));
    expect(lines(after(REALTIME, ...spoken, { type: "ended", by: "user" }))).toEqual([
      ["bot", "Spoke for 3 s", true, true],
    ]);
  });

  it("listens again where no answer comes", () => {
    const told: Told[] = [{ type: "speech_started" }, { type: "speech_ended" }, { type: "done" }];
    expect(after(REALTIME, ...told)).toMatchObject({ voiceState: "listening", transcript: [] });
  });

  it("shows an answer that was cut off, and silences it at once", () => {
    const state = after(
      REALTIME,
      { type: "audio", data: "AAAA" },
      { type: "speech_started" },
      { type: "interrupted" },
    );
    expect(state.voiceState).toBe("processing");
    expect(lines(state)).toEqual([["bot", "Spoke for 1 s", true, true]]);
    expect(REALTIME.sounding({ type: "interrupted" })).toBe("silence");
    expect(REALTIME.sounding({ type: "done" })).toBeNull();
  });

  it("puts a transcript that comes late before the answer", () => {
    const state = after(
      REALTIME,
      { type: "audio", data: "AAAA" },
      { type: "transcript", text: "Are you open?" },
    );
    expect(lines(state).map(([role]) => role)).toEqual(["user", "bot"]);
  });
});

describe("what the service sends", () => {
  it.each([
    "",
    "[]",
    "null",
    '{"type": "audio"}',
    '{"type": "toString"}',
    '{"type": "transcription", "text": "Hello", "is_final": "yes"}',
    '{"type": "agent_tool", "tool": null}',
  ])("is left out if it is %s", (data) => {
    expect(parseMessage(data)).toBeNull();
  });

  it("is read", () => {
    const message = { type: "transcription", text: "", is_final: false };
    expect(parseMessage(JSON.stringify(message))).toEqual(message);
  });
});
