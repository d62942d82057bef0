import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { describeError } from "../components/problems";
import { initialState } from "../session/reducer";
import type { SessionErrorKind, SessionState } from "../session/types";
import { Home } from "./Home";
import type { HomeProps } from "./Home";

const callbacks = {
  onSelect: vi.fn(),
  onMode: vi.fn(),
  onStart: vi.fn(),
  onKey: vi.fn(),
  onReloadAgents: vi.fn(),
  onDismissError: vi.fn(),
};

const ready: HomeProps["agents"] = {
  status: "ready",
  agents: [
    { name: "receptionist", description: "Books appointments.", modes: ["chained"] },
    { name: "call_center", description: "", modes: ["chained"] },
  ],
  default: "receptionist",
};

function show(change: Partial<HomeProps> = {}, session: Partial<SessionState> = {}) {
  return render(
    <Home
      agents={ready}
      selected="receptionist"
      modes={["chained"]}
      mode="chained"
      agentLabel="Receptionist"
      session={{ ...initialState, ...session }}
      {...callbacks}
      {...change}
    />,
  );
}

function startButton(): HTMLButtonElement {
  return screen.getByRole<HTMLButtonElement>("button", { name: "Start conversation" });
}

beforeEach(() => vi.clearAllMocks());

describe("the home page", () => {
  it("has one way on, says that the microphone will be asked for, and how to do without", () => {
    show();
    const write = screen.getByRole("button", { name: "Write instead" });
    expect(screen.getAllByRole("button")).toEqual([startButton(), write]);
    expect(screen.getByText("Your browser will ask for the microphone.")).toBeTruthy();
    fireEvent.click(startButton());
    expect(callbacks.onStart).toHaveBeenLastCalledWith(false);
    fireEvent.click(write);
    expect(callbacks.onStart).toHaveBeenLastCalledWith(true);
  });

  it("offers the ways to talk with the agent, where there are several", () => {
    const { unmount } = show();
    expect(screen.queryByRole("radio", { name: "Speech to speech" })).toBeNull();
    unmount();
    show({ modes: ["chained", "speech_to_speech"], mode: "speech_to_speech" });
    const steps = screen.getByRole<HTMLInputElement>("radio", { name: "Step by step" });
    expect(steps.checked).toBe(false);
    expect(screen.getByText("one model hears you and speaks")).toBeTruthy();
    fireEvent.click(steps);
    expect(callbacks.onMode).toHaveBeenCalledWith("chained");
  });

  it("offers the server's agents", () => {
    show();
    const [first, second] = screen.getAllByRole<HTMLInputElement>("radio");
    expect(first?.checked).toBe(true);
    expect(screen.getByText("Books appointments.")).toBeTruthy();
    fireEvent.click(screen.getByLabelText("Call center"));
    expect(second?.checked).toBe(false);
    expect(callbacks.onSelect).toHaveBeenCalledWith("call_center");
  });

  it("waits for the agents", () => {
    show({ agents: { status: "loading" }, selected: null });
    expect(startButton().disabled).toBe(true);
    expect(screen.getByText("Looking for agents…")).toBeTruthy();
  });

  it("says that the server cannot be reached, and tries again", () => {
    show({ agents: { status: "failed" }, selected: null });
    expect(screen.getByRole("alert").textContent).toMatch(/cannot be reached/);
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(callbacks.onReloadAgents).toHaveBeenCalledOnce();
  });
});

describe("a call that could not be made or was lost", () => {
  const kinds: [SessionErrorKind, RegExp][] = [
    ["microphone-denied", /microphone is blocked/],
    ["microphone-missing", /No microphone was found/],
    ["microphone-busy", /microphone is in use/],
    ["microphone-failed", /could not be opened/],
    ["insecure-context", /https/],
    ["server-unreachable", /cannot be reached/],
    ["server-busy", /All lines are busy…/],
    ["start-refused", /could not be started/],
    ["session-over", /conversation is over/],
    ["connection-failed", /No connection/],
    ["connection-lost", /connection was lost/],
    ["bot-silent", /did not answer/],
    ["bot-error", /ran into a problem/],
  ];

  it.each(kinds)("is explained, with a way on: %s", (kind, words) => {
    show({}, { error: { kind, detail: "Said the server." } });
    const alert = screen.getByRole("alert");
    expect(alert.textContent).toMatch(words);
    expect(alert.textContent).toContain("Said the server.");
    fireEvent.click(screen.getByRole("button", { name: describeError({ kind }).action }));
    expect(callbacks.onStart).toHaveBeenCalledOnce();
    fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(callbacks.onDismissError).toHaveBeenCalledOnce();
  });
});

describe("a service that is not open", () => {
  it("asks for a key, and starts with it", () => {
    show({}, { error: { kind: "key-needed" }, endedAt: 1 });
    const field = screen.getByLabelText<HTMLInputElement>("Access key");
    expect(document.activeElement).toBe(field);
    expect(field.type).toBe("password");
    fireEvent.change(field, { target: { value: " parlante_1_2 " } });
    fireEvent.click(screen.getByRole("button", { name: "Start with this key" }));
    expect(callbacks.onKey).toHaveBeenCalledExactlyOnceWith("parlante_1_2");
    expect(callbacks.onStart).not.toHaveBeenCalled();
  });
});

describe("after a call", () => {
  const transcript = [
    {
      sequence: 1,
      role: "user" as const,
      text: "Bye.",
      final: true,
      interrupted: false,
      at: 0,
      endedAt: 0,
    },
  ];

  it("the transcript can still be read, and another call started", () => {
    show({}, { transcript, startedAt: 0, endedAt: 65_000, endedBy: "user" });
    expect(screen.getByRole("heading", { name: "Call ended" })).toBeTruthy();
    expect(screen.getByRole("status").textContent).toBe("Call ended.");
    expect(screen.getByRole("log").textContent).toContain("Bye.");
    expect(screen.getByText("Receptionist · 1:05")).toBeTruthy();
    expect(startButton().disabled).toBe(false);
    expect(document.activeElement).toBe(startButton());
  });

  it("says who hung up", () => {
    show({}, { transcript, startedAt: 0, endedAt: 5000, endedBy: "bot" });
    expect(screen.getByText("Receptionist hung up · 0:05")).toBeTruthy();
  });

  it("in which nothing was said, there is nothing to show", () => {
    show({}, { startedAt: 0, endedAt: 5000, endedBy: "user" });
    expect(screen.queryByRole("log")).toBeNull();
  });
});
