import { fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { initialState } from "../session/reducer";
import { VOICE_STATES } from "../session/types";
import type { SessionState } from "../session/types";
import { Voice } from "./Voice";

const device = (deviceId: string) => ({ deviceId, label: deviceId }) as MediaDeviceInfo;

const props = {
  agentLabel: "Receptionist",
  micTrack: null,
  botTrack: null,
  microphone: {
    devices: [device("Built-in"), device("Headset")],
    selectedId: "Built-in",
    onSelect: vi.fn(),
  },
  speaker: null,
  sound: { volume: 1, silent: false },
  onSound: vi.fn(),
  onMute: vi.fn(),
  onWrite: vi.fn(),
  onEnd: vi.fn(),
  onDismissNotice: vi.fn(),
  onUnblockSound: vi.fn(),
};

function show(state: Partial<SessionState> = {}) {
  const whole: SessionState = { ...initialState, voiceState: "listening", ...state };
  return render(<Voice {...props} state={whole} />);
}

beforeEach(() => vi.clearAllMocks());

describe("the state", () => {
  it.each([
    ["connecting", "Connecting to the agent."],
    ["initializing", "Getting the agent ready."],
    ["listening", "Agent is listening. Speak now."],
    ["processing", "Agent is hearing you."],
    ["thinking", "Agent is thinking."],
    ["speaking", "Agent is speaking. You can interrupt."],
    ["disconnecting", "Ending the call."],
    ["disconnected", "Call ended."],
  ] as const)("%s is announced as '%s'", (voiceState, label) => {
    const { container } = show({ voiceState });
    const status = screen.getByText(label);
    expect(status.getAttribute("role")).toBe("status");
    expect(status.getAttribute("aria-live")).toBe("polite");
    expect(container.querySelector("section")?.dataset.voiceState).toBe(voiceState);
  });

  it("has a label for every state there is", () => {
    for (const voiceState of VOICE_STATES) {
      const { unmount } = show({ voiceState });
      expect(screen.getByRole("status").textContent).not.toBe("");
      unmount();
    }
  });

  it("says that the microphone has to be allowed", () => {
    show({ voiceState: "connecting", askingForMicrophone: true });
    expect(screen.getByText(/allow the microphone/)).toBeTruthy();
  });

  it("says that the connection is interrupted", () => {
    show({ unstable: true });
    expect(screen.getByRole("status").textContent).toMatch(/interrupted/);
    expect(screen.getByRole("alert").textContent).toMatch(/not heard/);
  });
});

describe("the controls", () => {
  it("follow the focus, which begins at the view itself", () => {
    show();
    expect(document.activeElement).toBe(screen.getByRole("region", { name: "Call with Receptionist" }));
  });

  it("mute the microphone, and show that it is", () => {
    const { rerender } = show();
    const mute = screen.getByRole("button", { name: "Mute microphone" });
    expect(mute.hasAttribute("aria-pressed"), "its name says it").toBe(false);
    fireEvent.click(mute);
    expect(props.onMute).toHaveBeenCalledWith(true);

    rerender(
      <Voice {...props} state={{ ...initialState, voiceState: "listening", muted: true }} />,
    );
    const unmute = screen.getByRole("button", { name: "Unmute microphone" });
    expect(screen.getByText("Your microphone is muted.")).toBeTruthy();
    fireEvent.click(unmute);
    expect(props.onMute).toHaveBeenLastCalledWith(false);
  });

  it("end the call", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "End call" }));
    expect(props.onEnd).toHaveBeenCalledOnce();
  });

  it("cannot be used while the call is being ended", () => {
    show({ voiceState: "disconnecting" });
    const end = screen.getByRole<HTMLButtonElement>("button", { name: "End call" });
    expect(end.disabled).toBe(true);
  });

  it("have the keys M and Escape", () => {
    show();
    fireEvent.keyDown(window, { key: "m" });
    expect(props.onMute).toHaveBeenCalledWith(true);
    fireEvent.keyDown(window, { key: "Escape" });
    expect(props.onEnd).toHaveBeenCalledOnce();
  });

  it("leave keys alone that belong to the browser or are held down", () => {
    show();
    fireEvent.keyDown(window, { key: "m", ctrlKey: true });
    fireEvent.keyDown(window, { key: "m", metaKey: true });
    fireEvent.keyDown(window, { key: "m", repeat: true });
    expect(props.onMute).not.toHaveBeenCalled();
  });

  it("leave keys alone that are typed into a field", () => {
    show();
    const field = document.body.appendChild(document.createElement("input"));
    fireEvent.keyDown(field, { key: "m" });
    fireEvent.keyDown(field, { key: "Escape" });
    field.remove();
    expect(props.onMute).not.toHaveBeenCalled();
    expect(props.onEnd).not.toHaveBeenCalled();
  });

  it("close the sound settings on Escape before they end the call", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "Sound settings" }));
    fireEvent.keyDown(screen.getByRole("checkbox"), { key: "Escape" });
    expect(screen.queryByRole("checkbox")).toBeNull();
    expect(props.onEnd).not.toHaveBeenCalled();
  });
});

describe("the sound settings", () => {
  it("choose the microphone, the volume and the agent's silence", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "Sound settings" }));
    fireEvent.change(screen.getByLabelText("Microphone"), { target: { value: "Headset" } });
    expect(props.microphone.onSelect).toHaveBeenCalledWith("Headset");
    fireEvent.change(screen.getByLabelText("Volume"), { target: { value: "0.5" } });
    expect(props.onSound).toHaveBeenCalledWith({ volume: 0.5, silent: false });
    fireEvent.click(screen.getByLabelText("Mute the agent"));
    expect(props.onSound).toHaveBeenCalledWith({ volume: 1, silent: true });
    expect(screen.queryByLabelText("Speaker")).toBeNull();
  });
});

describe("the response times", () => {
  const open = () => fireEvent.click(screen.getByRole("button", { name: "Response times" }));

  it("say what the last wait went into, and how it was before", () => {
    const stages = [
      { name: "endpointing_wait", ms: 300 },
      { name: "llm_inference", ms: 100 },
    ];
    const latency = { totalMs: 400, stages, madeAhead: true, withdrawn: 1 };
    show({ latencies: [{ ...latency, totalMs: 900 }, latency] });
    open();
    const times = within(screen.getByRole("group", { name: "Response times" }));
    expect(times.getByText("400 ms")).toBeTruthy();
    expect(times.getByText("Noticing the silence").nextSibling?.textContent).toBe("300 ms");
    expect(times.getByText("Writing the answer").nextSibling?.textContent).toBe("100 ms");
    expect(times.getByText(/1 thrown away/)).toBeTruthy();
    expect(times.getByText(/within 650 ms/)).toBeTruthy();
  });

  it("can be looked at for each of the last answers", () => {
    const answer = (totalMs: number) => ({
      totalMs,
      stages: [],
      madeAhead: false,
      withdrawn: 0,
    });
    show({ latencies: [answer(900), answer(400)] });
    open();
    expect(screen.getByText("400 ms")).toBeTruthy();
    expect(screen.getByRole("button", { name: "Later" })).toHaveProperty("disabled", true);
    fireEvent.click(screen.getByRole("button", { name: "Earlier" }));
    expect(screen.getByText("900 ms")).toBeTruthy();
    expect(screen.getByText(/Answer 1 of the last 2/)).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Later" }));
    expect(screen.getByText("400 ms")).toBeTruthy();
  });

  it("wait for the first answer", () => {
    show();
    open();
    expect(screen.getByText(/Ask something/)).toBeTruthy();
  });

  it("take the place of the sound settings", () => {
    show();
    fireEvent.click(screen.getByRole("button", { name: "Sound settings" }));
    open();
    expect(screen.queryByRole("checkbox")).toBeNull();
    fireEvent.keyDown(window, { key: "Escape" });
    expect(screen.queryByText(/Ask something/)).toBeNull();
    expect(props.onEnd).not.toHaveBeenCalled();
  });
});

describe("the transcript", () => {
  it("shows what was said by whom", () => {
    show({
      transcript: [
        {
          sequence: 1,
          role: "bot",
          text: "How can I help?",
          final: true,
          interrupted: false,
          at: 0,
          endedAt: 1000,
        },
      ],
    });
    const log = screen.getByRole("log", { name: "Transcript" });
    expect(log.textContent).toBe("ReceptionistHow can I help?");
  });
});

describe("a passing problem", () => {
  it("is told and can be dismissed while the call goes on", () => {
    show({ notice: { kind: "bot-problem", detail: "Timeout." } });
    expect(screen.getByRole("alert").textContent).toMatch(/The call goes on.*Timeout/s);
    fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(props.onDismissNotice).toHaveBeenCalledOnce();
  });

  it("with blocked sound can be mended on the spot", () => {
    show({ notice: { kind: "sound-blocked" } });
    fireEvent.click(screen.getByRole("button", { name: "Turn on sound" }));
    expect(props.onUnblockSound).toHaveBeenCalledOnce();
  });
});
