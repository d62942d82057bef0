import { fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { NO_STEPS, initialConversation } from "../protocols/conversation";
import type { Conversation } from "../protocols/conversation";
import { ProtocolView } from "./ProtocolView";
import type { ProtocolViewProps } from "./ProtocolView";

const callbacks = {
  onSelect: vi.fn(),
  onStart: vi.fn(),
  onKey: vi.fn(),
  onEnd: vi.fn(),
  onHold: vi.fn(),
  onLetGo: vi.fn(),
  onHandsFree: vi.fn(),
  onMute: vi.fn(),
  onReloadAgents: vi.fn(),
  onDismissError: vi.fn(),
  onDismissNotice: vi.fn(),
  onUnblockSound: vi.fn(),
};

const agents: ProtocolViewProps["agents"] = {
  status: "ready",
  agents: [
    { name: "receptionist", description: "", modes: ["chained"] },
    { name: "sales", description: "", modes: ["chained"] },
  ],
  default: "receptionist",
};

function show(state: Partial<Conversation> = {}, change: Partial<ProtocolViewProps> = {}) {
  const view = (changed: Partial<Conversation>) => (
    <ProtocolView
      title="Push to talk"
      line="Hold a button while you speak."
      talk="hold"
      state={{ ...initialConversation, ...changed }}
      agents={agents}
      selected="receptionist"
      agentLabel="Receptionist"
      micTrack={null}
      botTrack={null}
      {...callbacks}
      {...change}
    />
  );
  const { rerender } = render(view(state));
  return (changed: Partial<Conversation>) => rerender(view(changed));
}

function button(name: string): HTMLButtonElement {
  return screen.getByRole<HTMLButtonElement>("button", { name });
}

beforeEach(() => vi.clearAllMocks());

describe("before a call", () => {
  it("chooses an agent and starts", () => {
    show();
    fireEvent.click(screen.getByLabelText("Sales"));
    expect(callbacks.onSelect).toHaveBeenCalledWith("sales");
    fireEvent.click(button("Start"));
    expect(callbacks.onStart).toHaveBeenCalledOnce();
    expect(screen.getByRole("link", { name: /Parlante/ }).getAttribute("href")).toBe("#");
  });

  it("cannot be started without an agent, and looks for them again", () => {
    show({}, { agents: { status: "failed" }, selected: null });
    expect(button("Start").disabled).toBe(true);
    fireEvent.click(button("Try again"));
    expect(callbacks.onReloadAgents).toHaveBeenCalledOnce();
  });

  it.each([
    [{ kind: "microphone-denied" }, /microphone is blocked/],
    [{ kind: "microphone-missing" }, /No microphone was found/],
    [{ kind: "insecure-context" }, /may not use the microphone/],
    [{ kind: "server-unreachable" }, /cannot be reached/],
    [{ kind: "server-busy", detail: "no line is free" }, /All lines are busy.*no line is free/],
    [{ kind: "no-such-agent" }, /no such agent/],
    [{ kind: "agent-not-for-this" }, /cannot be reached in this way/],
    [{ kind: "cannot-record" }, /cannot record/],
    [{ kind: "connection-lost" }, /connection was lost/],
  ] as const)("says what is wrong and goes on from there: %o", (error, words) => {
    show({ error, endedBy: "error" });
    const alert = within(screen.getByRole("alert"));
    expect(screen.getByRole("alert").textContent).toMatch(words);
    fireEvent.click(alert.getAllByRole("button")[0] ?? document.body);
    expect(callbacks.onStart).toHaveBeenCalledOnce();
    fireEvent.click(alert.getByRole("button", { name: "Dismiss" }));
    expect(callbacks.onDismissError).toHaveBeenCalledOnce();
  });

  it("shows what was said before, and starts again", () => {
    const said = { sequence: 1, role: "bot", text: "Goodbye.", at: 0, endedAt: null } as const;
    const transcript = [{ ...said, final: true, interrupted: false }];
    show({ endedBy: "bot", transcript });
    expect(screen.getByRole("status").textContent).toBe("Call ended.");
    expect(screen.getByText("Goodbye.")).toBeTruthy();
    expect(document.activeElement).toBe(button("Start again"));
  });

  it("asks for a key, and starts with it", () => {
    show({ error: { kind: "key-needed" }, endedBy: "error" });
    fireEvent.change(screen.getByLabelText("Access key"), { target: { value: " abc " } });
    fireEvent.click(button("Start with this key"));
    expect(callbacks.onKey).toHaveBeenCalledWith("abc");
  });
});

describe("in a call with a button to hold", () => {
  it("says in each state what to do", () => {
    const update = show({ voiceState: "connecting", askingForMicrophone: true });
    expect(screen.getByRole("status").textContent).toBe("Connecting to the agent.");
    expect(screen.getByText(/allow the microphone/)).toBeTruthy();
    expect(button("Hold to speak").disabled).toBe(true);
    update({ voiceState: "listening" });
    expect(screen.getByRole("status").textContent).toBe("Hold the button, and speak.");
    update({ voiceState: "processing", held: true });
    expect(screen.getByRole("status").textContent).toMatch(/Let go when you have spoken/);
    update({ voiceState: "speaking" });
    expect(screen.getByRole("status").textContent).toMatch(/Hold the button to interrupt/);
    update({ voiceState: "listening", tooShort: true });
    expect(screen.getByText(/That was short/)).toBeTruthy();
  });

  it("is held by the keyboard, which is there already", () => {
    const update = show({ voiceState: "connecting" });
    expect(document.activeElement?.parentElement).toBe(screen.getByRole("main"));
    update({ voiceState: "listening" });
    fireEvent.keyDown(document.activeElement ?? document.body, { key: " " });
    expect(callbacks.onHold).toHaveBeenCalledOnce();
    fireEvent.keyUp(document.activeElement ?? document.body, { key: " " });
    expect(callbacks.onLetGo).toHaveBeenCalledOnce();
  });

  it("ends by its button and by Escape", () => {
    show({ voiceState: "listening" });
    fireEvent.click(button("End call"));
    fireEvent.keyDown(window, { key: "Escape" });
    expect(callbacks.onEnd).toHaveBeenCalledTimes(2);
  });

  it("says that the connection is lost, and cannot be spoken into", () => {
    show({ voiceState: "connecting", unstable: true });
    expect(screen.getByRole("alert").textContent).toMatch(/Trying to get it back/);
    expect(button("Hold to speak").disabled).toBe(true);
  });

  it("tells a passing problem, which can be dismissed", () => {
    show({ voiceState: "listening", notice: { kind: "not-heard", detail: "no sound" } });
    expect(screen.getByRole("alert").textContent).toMatch(/could not be heard.*no sound/);
    fireEvent.click(button("Dismiss"));
    expect(callbacks.onDismissNotice).toHaveBeenCalledOnce();
  });

  it("turns on sound that the browser has blocked", () => {
    show({ voiceState: "speaking", notice: { kind: "sound-blocked" } });
    fireEvent.click(button("Turn on sound"));
    expect(callbacks.onUnblockSound).toHaveBeenCalledOnce();
  });
});

describe("in a call that goes hands free", () => {
  it("can be muted", () => {
    const update = show({ voiceState: "listening", handsFree: true }, { talk: "free" });
    expect(screen.queryByText("Hold to speak")).toBeNull();
    expect(screen.queryByRole("checkbox")).toBeNull();
    expect(screen.getByRole("status").textContent).toBe("Agent is listening. Speak now.");
    fireEvent.click(button("Mute microphone"));
    expect(callbacks.onMute).toHaveBeenCalledWith(true);
    update({ voiceState: "listening", handsFree: true, muted: true });
    expect(screen.getByRole("alert").textContent).toMatch(/muted/);
    expect(button("Unmute microphone")).toBeTruthy();
  });

  it("is the user's choice where the protocol has both", () => {
    show({ voiceState: "listening" }, { talk: "hold-or-free" });
    fireEvent.click(screen.getByLabelText("Hands free"));
    expect(callbacks.onHandsFree).toHaveBeenCalledWith(true);
  });
});

describe("the steps of an utterance", () => {
  it("are what was heard, the tools with what they are given, and the answer", () => {
    const steps = {
      ...NO_STEPS,
      heard: "What is the price?",
      isHeard: true,
      tools: [{ name: "get_price", args: { plan: "team", seats: 3 } }],
    };
    const update = show({ voiceState: "thinking", steps });
    const [heard, agent, voice] = screen.getAllByRole("listitem");
    expect(heard?.textContent).toContain("What is the price?");
    expect(heard?.dataset.done).toBe("true");
    expect(agent?.textContent).toContain("Get pricePlan team");
    expect(agent?.textContent).toContain("Seats 3");
    expect(voice?.textContent).toBe("Voice…");
    update({ voiceState: "speaking", steps: { ...steps, written: "Ten dollars.", isSpoken: true } });
    expect(agent?.textContent).toContain("Ten dollars.");
    expect(voice?.textContent).toBe("VoiceSpeaking…");
  });
});
