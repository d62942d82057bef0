import { fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { initialCall, reduce as reduceCall, spanOf } from "../call";
import type { CallEvent } from "../call";
import { initialDashboard } from "../dashboard";
import type { DashboardState } from "../dashboard";
import { EVENTS, OVERVIEW, SESSION, SESSIONS } from "../fixtures";
import type { Part } from "../sound";
import type { Player } from "../usePlayer";
import { CallView } from "./CallView";
import type { CallViewProps } from "./CallView";
import { DashboardView } from "./DashboardView";
import { Frame } from "./Frame";
import type { FrameProps } from "./Frame";

const NOW = Date.parse(OVERVIEW.at);
const { sessions } = SESSIONS;

beforeEach(() => vi.clearAllMocks());

describe("the dashboard", () => {
  const onEnd = vi.fn();

  function show(state: Partial<DashboardState> = {}) {
    return render(
      <DashboardView
        state={{
          ...initialDashboard,
          access: "granted",
          active: sessions.filter((session) => session.is_active),
          recent: sessions.filter((session) => !session.is_active),
          overview: OVERVIEW,
          ...state,
        }}
        now={NOW}
        onEnd={onEnd}
      />,
    );
  }

  it("shows of each call what it does, whose it is, and how long the last answer took", () => {
    show();
    const [, first, second, third] = within(
      screen.getByRole("region", { name: "Calls now" }),
    ).getAllByRole("row");
    expect(first?.textContent).toMatch(/Speaking.*ada.*Receptionist.*webrtc.*0:41.*613 ms/);
    expect(second?.textContent).toMatch(/Listening.*jwt:42.*–/);
    expect(third?.textContent).toMatch(/Empty.*phone.*5:12.*1\.48 s/);
    expect(screen.getByRole("link", { name: "ada" }).getAttribute("href")).toBe(
      `#/operator?call=${sessions[0]?.session_id}`,
    );
  });

  it("ends a call when that is confirmed, and not before", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "End the call of ada" }));
    const dialog = screen.getByRole("dialog", { name: "End this call?" });
    expect(dialog.textContent).toContain("ada is disconnected at once");
    fireEvent.click(screen.getByRole("button", { name: "Let it go on" }));
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(onEnd).not.toHaveBeenCalled();
    fireEvent.click(screen.getByRole("button", { name: "End the call of ada" }));
    fireEvent.click(screen.getByRole("button", { name: "End the call" }));
    expect(onEnd).toHaveBeenCalledExactlyOnceWith(sessions[0]?.session_id);
  });

  it("marks a call that is being ended", () => {
    show({ ending: [sessions[0]?.session_id ?? ""] });
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "End the call of ada" });
    expect(button.disabled).toBe(true);
    expect(screen.getByText("Ending")).toBeTruthy();
  });

  it("shows the times of the last hour, for those as well who cannot see lines", () => {
    show();
    const times = screen.getByRole("region", { name: "Time until the answer" });
    expect(times.textContent).toContain("6 answers, last hour");
    expect(within(times).getByRole("row", { name: /Writing the answer 260 ms 520 ms/ })).toBeTruthy();
    fireEvent.click(screen.getByText("By the minute"));
    expect(within(times).getByRole("row", { name: /6 613 ms 1.48 s 0/ })).toBeTruthy();
    expect(within(times).getByRole("row", { name: /0 – – 2/ })).toBeTruthy();
  });

  it("shows which services have failed, and why", () => {
    show();
    const failures = screen.getByRole("region", { name: "Failures by service" });
    expect(
      within(failures).getByRole("row", { name: /Language model · openai Timeout 2/ }),
    ).toBeTruthy();
  });

  it("shows the last calls, and how they ended", () => {
    show();
    const recent = screen.getByRole("region", { name: "Last calls" });
    expect(within(recent).getByRole("row", { name: /eve.*1:05 Hung up/ })).toBeTruthy();
  });

  it("says so where there is nothing", () => {
    const nothing = { ...OVERVIEW, sessions: 0, minutes: [], failures: [] };
    show({ active: [], recent: [], overview: nothing });
    for (const words of [
      "Nobody is calling.",
      "Nobody was answered in the last hour.",
      "No service has failed.",
      "No call has ended yet.",
      "0 of 10",
    ]) {
      expect(screen.getByText(words)).toBeTruthy();
    }
  });

  it("lists a hundred calls", () => {
    const [one] = sessions;
    const many = Array.from({ length: 100 }, (_, i) => ({ ...one, session_id: String(i) }));
    show({ active: many as typeof sessions });
    const rows = within(screen.getByRole("region", { name: "Calls now" })).getAllByRole("row");
    expect(rows).toHaveLength(101);
  });
});

describe("around the dashboard", () => {
  const onDrain = vi.fn();
  const onRetry = vi.fn();

  function show(change: Partial<FrameProps> = {}) {
    return render(
      <Frame
        condition="running"
        seenAt={NOW}
        retryInMs={null}
        active={3}
        problem={null}
        onDrain={onDrain}
        onRetry={onRetry}
        onDismissProblem={vi.fn()}
        {...change}
      >
        <p>All calls</p>
      </Frame>,
    );
  }

  function drainButton(): HTMLButtonElement {
    return screen.getByRole<HTMLButtonElement>("button", { name: "Drain" });
  }

  it("the service is drained when that is confirmed", () => {
    show();
    fireEvent.click(drainButton());
    expect(screen.getByRole("dialog").textContent).toContain("the 3 that go on may come to their end");
    expect(onDrain).not.toHaveBeenCalled();
    fireEvent.click(screen.getByRole("button", { name: "Drain and stop" }));
    expect(onDrain).toHaveBeenCalledOnce();
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("a service that drains says so, and cannot be told again", () => {
    show({ condition: "draining" });
    expect(screen.getByRole("status").textContent).toMatch(/Draining/);
    expect(drainButton().disabled).toBe(true);
  });

  it("what was known is shown while the service does not answer, and it can be asked at once", () => {
    show({ condition: "lost", retryInMs: 3200 });
    expect(screen.getByRole("alert").textContent).toMatch(/does not answer. What is shown is of/);
    expect(screen.getByText("Asking again in 4 s")).toBeTruthy();
    expect(screen.getByText("All calls")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Ask now" }));
    expect(onRetry).toHaveBeenCalledOnce();
  });

  it("a service that has drained is not said to be lost", () => {
    show({ condition: "stopped", retryInMs: 1000 });
    expect(screen.getByRole("alert").textContent).toMatch(/has stopped, as it was told to/);
  });

  it("what could not be done is told", () => {
    show({ problem: "there is no such session" });
    expect(screen.getByRole("alert").textContent).toContain("no such session");
  });

  it("whoever may not drain has no button for it", () => {
    show({ onDrain: null });
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("one call", () => {
  const onEnd = vi.fn();
  const player: Player = {
    playing: false,
    at: null,
    silent: { user: false, bot: true },
    toggle: vi.fn(),
    seek: vi.fn(),
    setSilent: vi.fn(),
  };
  const events: CallEvent[] = EVENTS.map((happening) => ({
    type: "happened",
    happening,
    at: Date.parse(happening.data.at),
  }));
  const over = [{ type: "report", report: SESSION } as CallEvent, ...events].reduce(
    reduceCall,
    initialCall,
  );
  const live = [
    { type: "report", report: { ...SESSION, is_active: true, end_reason: null } } as CallEvent,
    ...events.slice(0, -2),
  ].reduce(reduceCall, initialCall);
  const span = spanOf(over, NOW);
  const part: Part = {
    url: "blob:1",
    from: span.from,
    to: span.to,
    secs: 23.5,
    loudness: { user: [0.1, 0.5], bot: [0.3, 0.2] },
  };

  function show(change: Partial<CallViewProps> = {}) {
    return render(
      <CallView
        state={over}
        botLabel="Sales"
        span={span}
        now={NOW}
        sound={{ status: "ready", parts: [part] }}
        player={player}
        ending={false}
        onEnd={onEnd}
        {...change}
      />,
    );
  }

  it("has all that was said and done, in words", () => {
    show();
    const lines = within(screen.getByRole("log")).getAllByRole("listitem");
    expect(lines.map((line) => line.textContent)).toEqual([
      expect.stringContaining("The session was started."),
      expect.stringContaining("The user came."),
      "0:00SalesHello, — what can I do for you? interrupted",
      "0:01UserWhat is the price of the team plan?",
      expect.stringMatching(/^0:05Answered after 612 ms, made while.*1 thrown away before/),
      expect.stringMatching(/^0:05Get quote · completed · 200 ms.*"plan":"team".*"price":12/),
      "0:05SalesIt is twelve dollars a month.",
      expect.stringContaining("The user left."),
      expect.stringContaining("The session ended."),
    ]);
    expect(screen.getByText("what can I do for you?").className).toBe("op-unheard");
    expect(screen.getByRole("status").textContent).toBe("Hung up");
    expect(screen.queryByRole("button", { name: "End the call" })).toBeNull();
  });

  it("divides each wait into its stages", () => {
    show();
    const wait = screen.getByText("Answered after", { exact: false }).closest("details");
    expect(wait?.querySelector("dl")?.textContent).toBe(
      "Noticing the silence200 msGetting your words40 msWriting the answer260 ms" +
        "Making the voice90 msEverything between22 ms",
    );
  });

  it("is played from wherever the axis is clicked, or a time", () => {
    show();
    const [lanes] = document.getElementsByClassName("op-lanes");
    if (!lanes) throw new Error("there is no axis");
    vi.spyOn(lanes, "getBoundingClientRect").mockReturnValue(new DOMRect(100, 0, 500, 100));
    fireEvent.pointerDown(lanes, { clientX: 350, button: 0 });
    expect(player.seek).toHaveBeenLastCalledWith((span.from + span.to) / 2);
    fireEvent.click(screen.getByRole("button", { name: "Play from 0:01" }));
    expect(player.seek).toHaveBeenLastCalledWith(Date.parse("2026-11-22T12:00:02.6Z"));
    fireEvent.click(screen.getByRole("button", { name: "Play" }));
    expect(player.toggle).toHaveBeenCalledOnce();
  });

  it("is played from wherever the keyboard goes", () => {
    show({ player: { ...player, at: span.from + 5000 } });
    const slider = screen.getByRole("slider", { name: "Place in the sound" });
    expect(slider.getAttribute("aria-valuetext")).toBe("0:05 of 0:23");
    fireEvent.keyDown(slider, { key: "ArrowRight" });
    expect(player.seek).toHaveBeenLastCalledWith(span.from + 6000);
    fireEvent.keyDown(slider, { key: "End" });
    expect(player.seek).toHaveBeenLastCalledWith(span.to);
  });

  it("can be heard of one side alone", () => {
    show();
    const sound = within(screen.getByRole("group", { name: "Sound" }));
    expect(sound.getByRole<HTMLInputElement>("checkbox", { name: "Sales" }).checked).toBe(false);
    fireEvent.click(sound.getByRole("checkbox", { name: "User" }));
    expect(player.setSilent).toHaveBeenCalledExactlyOnceWith("user", true);
  });

  it("shows in the transcript what was chosen on the axis", () => {
    show();
    const bar = screen.getByTitle("It is twelve dollars a month.");
    fireEvent.click(bar);
    expect(bar.dataset.selected).toBe("true");
    const line = screen.getAllByRole("listitem").find((it) => it.dataset.selected === "true");
    expect(line?.textContent).toContain("It is twelve dollars a month.");
  });

  it("without sound says so, and goes nowhere", () => {
    show({ sound: { status: "none" } });
    expect(screen.getByText("The sound of this call was not kept.")).toBeTruthy();
    expect(screen.queryByRole("slider")).toBeNull();
    expect(screen.queryByRole("button", { name: /^Play/ })).toBeNull();
  });

  it("that goes on says what the bot does, and is ended when that is confirmed", () => {
    show({ state: live, sound: { status: "none" } });
    expect(screen.getByRole("status").textContent).toBe("Speaking");
    fireEvent.click(screen.getByRole("button", { name: "End the call" }));
    expect(onEnd).not.toHaveBeenCalled();
    fireEvent.click(within(screen.getByRole("dialog")).getByText("End the call"));
    expect(onEnd).toHaveBeenCalledOnce();
  });

  it("that is not there is said not to be", () => {
    show({ state: { ...initialCall, following: "not-found" } });
    expect(screen.getByRole("alert").textContent).toContain("There is no such call.");
    expect(screen.getByRole("link", { name: /All calls/ }).getAttribute("href")).toBe("#/operator");
  });
});
