import { StartBotError, TransportStartError } from "@pipecat-ai/client-js";
import { describe, expect, it } from "vitest";
import { MicrophoneError } from "../media/microphone";
import { parseAgents } from "./api";
import { BotSilentError, toSessionError } from "./errors";
import { formatDuration, formatWait, humanize } from "./labels";
import { toBotOutput, toVoiceState } from "./useVoiceSession";

describe("an error", () => {
  it("tells a key that is missing from one that is not good", () => {
    const refusal = new StartBotError("This key is not good.", 401);
    expect(toSessionError(refusal).kind).toBe("key-needed");
    expect(toSessionError(refusal, "parlante_1_2").kind).toBe("key-refused");
  });

  it.each([
    [new MicrophoneError("denied"), "microphone-denied"],
    [new MicrophoneError("missing"), "microphone-missing"],
    [new MicrophoneError("busy"), "microphone-busy"],
    [new MicrophoneError("insecure"), "insecure-context"],
    [new MicrophoneError("unknown"), "microphone-failed"],
    [new StartBotError("You have three calls.", 429), "server-busy"],
    [new StartBotError("A key is needed.", 401), "key-needed"],
    [new StartBotError("Draining.", 503), "server-busy"],
    [new StartBotError("Bad Gateway", 502), "server-unreachable"],
    [new StartBotError("Failed to fetch"), "server-unreachable"],
    [new StartBotError("Load failed"), "server-unreachable"],
    [new StartBotError("Timed out"), "server-unreachable"],
    [new SyntaxError("Unexpected token <"), "server-unreachable"],
    [new StartBotError("No such bot.", 422), "start-refused"],
    [new StartBotError("Boom.", 500), "start-refused"],
    [new TransportStartError(), "connection-failed"],
    [Object.assign(new TransportStartError(), { status: 404 }), "session-over"],
    [new BotSilentError(), "bot-silent"],
    ["?", "connection-failed"],
  ])("%s is told as %s", (error, kind) => {
    expect(toSessionError(error).kind).toBe(kind);
  });

  it("of the server keeps its words", () => {
    expect(toSessionError(new StartBotError("You have three calls.", 429)).detail).toBe(
      "You have three calls.",
    );
  });
});

describe("the list of agents", () => {
  it("is taken as the server sends it", () => {
    const body = {
      agents: [{ name: "sales", description: "Sells.", modes: ["chained"] }],
      default: "sales",
    };
    expect(parseAgents(body)).toEqual(body);
  });

  it("begins with the first agent when the default is unknown", () => {
    const sent = [{ name: "a", modes: ["chained", "telepathy"] }, { name: "b", modes: 7 }];
    expect(parseAgents({ agents: sent, default: "c" })).toEqual({
      agents: [
        { name: "a", description: "", modes: ["chained"] },
        { name: "b", description: "", modes: [] },
      ],
      default: "a",
    });
  });

  it.each([null, {}, { agents: "no" }, { agents: [null, 3, {}] }])("%j has no agents", (body) => {
    expect(parseAgents(body)).toEqual({ agents: [], default: null });
  });
});

describe("a server message", () => {
  it("with a voice state is understood", () => {
    expect(toVoiceState({ type: "voice-state", state: "speaking" })).toBe("speaking");
  });

  it.each([null, 7, {}, { type: "other", state: "speaking" }, { type: "voice-state", state: "x" }])(
    "%j is none",
    (data) => expect(toVoiceState(data)).toBeNull(),
  );
});

describe("bot-output", () => {
  it("carries what has sounded", () => {
    expect(
      toBotOutput({
        text: "Hello there.",
        segment_id: 3,
        will_be_spoken: true,
        spoken_status: "in-progress",
        spoken_progress: { accumulated_text: "Hello", remaining_text: " there." },
      }),
    ).toEqual({
      text: "Hello there.",
      segmentId: 3,
      willBeSpoken: true,
      status: "in-progress",
      accumulated: "Hello",
    });
  });

  it("of an old server, without segments, is left out", () => {
    expect(toBotOutput({ text: "Hello" })).toBeNull();
  });
});

describe("words for people", () => {
  it("turn names into labels and times into minutes", () => {
    expect(humanize("smart_router")).toBe("Smart router");
    expect(formatDuration(75_400)).toBe("1:15");
    expect(formatDuration(-5)).toBe("0:00");
    expect([40, 1234, 75_400].map(formatWait)).toEqual(["0.0 s", "1.2 s", "1:15"]);
  });
});
