/** A whole call by the messages that the service sends; the service is held to the same ones. */
import { RTVIEvent } from "@pipecat-ai/client-js";
import { act, renderHook } from "@testing-library/react";
import { expect, it } from "vitest";
import messages from "../../fixtures/rtvi.json";
import { createCall } from "./call";
import type { CallOptions } from "./call";
import type { SessionState, TranscriptEntry } from "./types";
import { useVoiceSession } from "./useVoiceSession";

const HERE = {
  server: "",
  agent: "receptionist",
  mode: null,
  microphoneId: null,
  key: null,
  writing: false,
};

/** Start a call, have it told every message, and return what the page knows after each. */
function tellAll(): SessionState[] {
  let tell: (message: object) => void = () => undefined;
  const createUnconnected = (options: CallOptions) => {
    const call = createCall(options);
    tell = (message) =>
      (call.client as unknown as { handleMessage: typeof tell }).handleMessage(message);
    return { ...call, open: () => new Promise<void>(() => undefined) };
  };
  const { result } = renderHook(() => useVoiceSession(createUnconnected));
  act(() => result.current.start(HERE));
  act(() => void result.current.client?.emit(RTVIEvent.TransportStateChanged, "connected"));
  return messages.map((message) => {
    act(() => tell(message));
    return result.current.state;
  });
}

function tools(transcript: TranscriptEntry[]): unknown[] {
  return transcript.flatMap(({ text, tool }) => (tool ? [{ name: text, ...tool }] : []));
}

it("shows a call as the service tells it", () => {
  const states = tellAll();
  const last = states.at(-1);
  if (!last) throw new Error("there are no messages");

  const seen = states.map(({ voiceState }) => voiceState);
  expect(seen.filter((state, i) => state !== seen[i - 1])).toEqual([
    "listening",
    "speaking",
    "listening",
    "processing",
    "thinking",
    "speaking",
  ]);
  expect(last.serverLed).toBe(true);
  const said = last.transcript.filter(({ tool }) => !tool);
  expect(said.map(({ role, text, interrupted }) => [role, text, interrupted])).toEqual([
    ["bot", "Hello, this is the clinic.", false],
    ["user", "Is there anything free on Friday?", false],
    ["bot", "Let me look that up.", false],
    ["bot", "Yes, there", true],
  ]);
  expect(said.at(-1)?.unheard?.trim()).toBe("are three free hours.");
  expect(tools(last.transcript)).toEqual([
    {
      name: "find_slots",
      callId: "call_1",
      outcome: "completed",
      arguments: { day: "Friday" },
      result: { free: ["9:00", "9:30", "10:00"] },
    },
    { name: "send_text", callId: "call_2", outcome: "timed_out" },
  ]);
  expect(last.latencies).toEqual([
    {
      totalMs: 613,
      stages: [
        { name: "endpointing_wait", ms: 200 },
        { name: "transcription", ms: 12 },
        { name: "turn_detection", ms: 182 },
        { name: "llm_inference", ms: 219 },
      ],
      madeAhead: true,
      withdrawn: 1,
    },
  ]);
  expect(last.notice).toEqual({
    kind: "bot-problem",
    detail: "the language model does not answer",
  });
});
