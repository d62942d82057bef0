import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { initialState } from "../session/reducer";
import type { SessionState } from "../session/types";
import { Chat } from "./Chat";

const on = {
  onWrite: vi.fn(),
  onSpeak: vi.fn(),
  onEnd: vi.fn(),
  onDismissNotice: vi.fn(),
  onUnblockSound: vi.fn(),
};

const UP: Partial<SessionState> = { voiceState: "listening", connected: true, startedAt: 0 };

function show(state: Partial<SessionState> = UP) {
  const whole: SessionState = { ...initialState, writing: true, ...state };
  return render(<Chat {...on} agentLabel="Receptionist" state={whole} />);
}

function box(): HTMLTextAreaElement {
  return screen.getByRole("textbox", { name: "Message to Receptionist" });
}

function type(text: string): void {
  fireEvent.change(box(), { target: { value: text } });
}

beforeEach(() => vi.clearAllMocks());

describe("a message", () => {
  it("is written at once, and sent with Enter or the button", () => {
    show();
    expect(document.activeElement).toBe(box());
    type(" Are you open? ");
    fireEvent.keyDown(box(), { key: "Enter" });
    expect(on.onWrite).toHaveBeenLastCalledWith("Are you open?");
    expect(box().value).toBe("");
    type("Thanks");
    fireEvent.click(screen.getByRole("button", { name: "Send" }));
    expect(on.onWrite).toHaveBeenLastCalledWith("Thanks");
  });

  it("may have lines, and words that are put together with Enter", () => {
    show();
    type("One");
    fireEvent.keyDown(box(), { key: "Enter", shiftKey: true });
    fireEvent.keyDown(box(), { key: "Enter", isComposing: true });
    expect(on.onWrite).not.toHaveBeenCalled();
    expect(box().value).toBe("One");
  });

  it.each([
    ["nothing", UP, "  "],
    ["nobody there yet", { voiceState: "connecting" }, "Hello"],
    ["the connection interrupted", { ...UP, unstable: true }, "Hello"],
    ["the connection lost", { ...UP, connected: false, comingBack: true }, "Hello"],
  ] as const)("is not sent with %s, and stays", (_, state, text) => {
    show(state);
    type(text);
    fireEvent.keyDown(box(), { key: "Enter" });
    expect(on.onWrite).not.toHaveBeenCalled();
    expect(box().value).toBe(text);
  });
});

describe("what goes on", () => {
  it.each([
    [{ voiceState: "connecting" }, "Connecting to the agent."],
    [{ ...UP, voiceState: "thinking" }, "Receptionist is writing…"],
    [{ ...UP, comingBack: true }, "Coming back to the call…"],
    [{ ...UP, askingForMicrophone: true }, "Please allow the microphone in your browser."],
    [UP, ""],
  ] as const)("with %o is '%s'", (state, text) => {
    show(state);
    expect(screen.getByRole("status").textContent).toBe(text);
  });

  it("can become a call by voice, whose microphone may be refused", () => {
    show({ ...UP, notice: { kind: "microphone-denied" } });
    fireEvent.click(screen.getByRole("button", { name: "Go on by voice" }));
    expect(on.onSpeak).toHaveBeenCalledOnce();
    expect(screen.getByRole("alert").textContent).toContain("The microphone is blocked.");
    fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(on.onDismissNotice).toHaveBeenCalledOnce();
  });

  it("can be ended", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "End call" }));
    expect(on.onEnd).toHaveBeenCalledOnce();
  });
});
