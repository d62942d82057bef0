import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ToolCall, TranscriptEntry } from "../session/types";
import { Transcript } from "./Transcript";

const CALL = { agent: "receptionist", startedAt: 0, endedAt: null };

function entry(change: Partial<TranscriptEntry>): TranscriptEntry {
  return {
    sequence: 1,
    role: "user",
    text: "",
    final: true,
    interrupted: false,
    at: 0,
    endedAt: 0,
    ...change,
  };
}

function view(...entries: TranscriptEntry[]) {
  return <Transcript entries={entries} call={CALL} agentLabel="Receptionist" placeholder="None." />;
}

function show(...entries: TranscriptEntry[]) {
  return render(view(...entries));
}

function rows(): HTMLElement[] {
  return [...screen.getByRole("log").querySelectorAll<HTMLElement>("[data-role]")];
}

afterEach(() => vi.unstubAllGlobals());

describe("what was said", () => {
  it("is in a log of both sides that says what is final", () => {
    show(
      entry({ sequence: 1, role: "bot", text: "How can I help?" }),
      entry({ sequence: 2, role: "user", text: "What are your", final: false, endedAt: null }),
    );
    const [bot, user] = rows();
    expect(bot?.dataset).toMatchObject({ role: "bot", final: "true" });
    expect(bot?.textContent).toBe("ReceptionistHow can I help?");
    expect(user?.dataset).toMatchObject({ role: "user", final: "false" });
    expect(user?.classList.contains("entry--interim")).toBe(true);
    expect(within(user ?? document.body).getByText("still being heard")).toBeTruthy();
  });

  it("is marked where the bot was interrupted, with what was not heard", () => {
    show(entry({ role: "bot", text: "We are", interrupted: true, unheard: " open." }));
    const [row] = rows();
    expect(row?.dataset.interrupted).toBe("true");
    expect(screen.getByText("interrupted")).toBeTruthy();
    expect(row?.querySelector(".entry__words")?.textContent).toBe("We are (not heard: open.)");
    expect(row?.querySelector(".entry__text")?.textContent).toBe("We are");
  });

  it("has no row for a reply that has not begun to sound", () => {
    show(entry({ role: "bot", text: "", final: false }));
    expect(rows()).toEqual([]);
  });

  it("is told to screen readers once for each entry, when it is over", () => {
    const said = (): string | null | undefined =>
      document.querySelector("[aria-live=polite].visually-hidden")?.textContent;
    const hello = entry({ sequence: 1, text: "Hello." });
    const reply = entry({ sequence: 2, role: "bot", text: "We are", final: false });
    const { rerender } = show(hello, reply);
    expect(screen.getByRole("log").getAttribute("aria-live")).toBe("off");
    expect(said()).toBe("You: Hello.");
    rerender(view(hello, { ...reply, final: true, interrupted: true, unheard: " open." }));
    expect(said()).toBe("Receptionist, interrupted: We are");
    const tool: ToolCall = { callId: "a", outcome: "failed" };
    rerender(view(hello, entry({ sequence: 3, role: "tool", text: "book", tool })));
    expect(said()).toBe("Book: failed");
  });

  it("is told to screen readers no second time where an entry goes on", () => {
    const said = (): string | null | undefined =>
      document.querySelector("[aria-live=polite].visually-hidden")?.textContent;
    const hello = entry({ sequence: 1, role: "bot", text: "Hello." });
    const wish = entry({ sequence: 2, text: "I'd like" });
    const { rerender } = show(hello, wish);
    expect(said()).toBe("You: I'd like");
    rerender(view(hello, { ...wish, text: "I'd like to book", final: false }));
    expect(said()).toBe("You: I'd like");
    rerender(view(hello, { ...wish, text: "I'd like to book a visit." }));
    expect(said()).toBe("You: to book a visit.");
  });

  it("is not rendered again where it has not changed", () => {
    const rendered: number[] = [];
    const many = Array.from({ length: 120 }, (_, i) => ({
      ...entry({ sequence: i + 1, text: `${i}` }),
      get role() {
        rendered.push(i + 1);
        return "bot" as const;
      },
    }));
    const { rerender } = show(...many);
    rendered.length = 0;
    rerender(view(...many.slice(0, -1), entry({ sequence: 120, text: "changed" })));
    expect(rendered).toEqual([]);
    expect(rows().at(-1)?.textContent).toBe("Youchanged");
  });
});

describe("tools", () => {
  const tool = (change: Partial<ToolCall>): ToolCall => ({
    callId: "a",
    outcome: "completed",
    ...change,
  });

  it("are cards that say how they went, and how long they took", () => {
    const outcomes = ["running", "completed", "failed", "timed_out", "cancelled"] as const;
    show(
      ...outcomes.map((outcome, i) =>
        entry({
          sequence: i,
          role: "tool",
          text: i ? "book_appointment" : "",
          tool: tool({ outcome }),
          final: i > 0,
          endedAt: i ? 1234 : null,
        }),
      ),
      entry({ sequence: 9, role: "tool", text: "a", tool: tool({ outcome: "running" }) }),
    );
    expect(rows().map((row) => row.textContent)).toEqual([
      "Looking something uprunning",
      "Book appointmentdone · 1.2 s",
      "Book appointmentfailed · 1.2 s",
      "Book appointmenttook too long · 1.2 s",
      "Book appointmentcancelled · 1.2 s",
      "Aunfinished · 0.0 s",
    ]);
    expect(screen.queryByRole("group")).toBeNull();
  });

  it("show what they were given and what they returned, where the server tells", () => {
    const told = tool({ arguments: { day: "Sunday", hour: 10 }, result: "Booked." });
    show(entry({ role: "tool", text: "book", tool: told }));
    expect(screen.getByText("Sunday · 10")).toBeTruthy();
    const listed = (name: string): (string | null)[] =>
      [...screen.getByRole("list", { name, hidden: true }).children].map((li) => li.textContent);
    expect(listed("Arguments")).toEqual(["Day: Sunday", "Hour: 10"]);
    expect(listed("Result")).toEqual(["Booked."]);
    expect(rows()[0]?.querySelector("details")?.open).toBe(false);
  });
});

describe("the end of the transcript", () => {
  it("stays in sight until the reader scrolls up, and comes back on request", () => {
    let resized = (): void => undefined;
    vi.stubGlobal(
      "ResizeObserver",
      class {
        constructor(callback: () => void) {
          resized = callback;
        }
        observe = vi.fn();
        disconnect = (): void => {
          resized = () => undefined;
        };
      },
    );
    show(entry({ text: "One." }));
    const log = screen.getByRole("log");
    let height = 1000;
    let top = 0;
    Object.defineProperties(log, {
      scrollHeight: { get: () => height },
      clientHeight: { value: 200 },
      scrollTop: { get: () => top, set: (to: number) => (top = Math.min(to, height - 200)) },
    });
    const grow = (to: number): void => {
      height = to;
      act(() => resized());
    };
    const scroll = (to: number): void => {
      log.scrollTop = to;
      fireEvent.scroll(log);
    };
    const latest = (): HTMLElement | null => screen.queryByRole("button", { name: "Latest" });
    grow(1100);
    expect(top).toBe(900);
    fireEvent.scroll(log);

    // Text that gets shorter is not a reader who scrolls.
    height = 1090;
    scroll(890);
    expect(latest()).toBeNull();

    scroll(870);
    grow(1300);
    expect(top).toBe(870);
    fireEvent.click(latest() ?? document.body);
    expect(top).toBe(1100);
    expect(latest()).toBeNull();
    expect(document.activeElement).toBe(log);

    scroll(100);
    expect(latest()).toBeTruthy();
    scroll(1080);
    expect(latest()).toBeNull();
  });
});

describe("the transcript", () => {
  const hello = entry({ at: Date.UTC(2026, 10, 22, 12), text: "Hello." });

  function giveClipboard(writeText: () => Promise<void>): void {
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
  }

  afterEach(() => Reflect.deleteProperty(navigator, "clipboard"));

  it("can be copied", async () => {
    const writeText = vi.fn(() => Promise.resolve());
    giveClipboard(writeText);
    show(hello);
    fireEvent.click(screen.getByRole("button", { name: "Copy transcript" }));
    expect(writeText).toHaveBeenCalledWith("[12:00:00] User: Hello.\n");
    expect(await screen.findByText("Copied")).toBeTruthy();
  });

  it("says so when the browser does not have it copied", async () => {
    giveClipboard(() => Promise.reject(new Error("denied")));
    show(hello);
    fireEvent.click(screen.getByRole("button", { name: "Copy transcript" }));
    expect(await screen.findByText(/does not allow/)).toBeTruthy();
  });

  it("cannot be copied where there is no clipboard, or nothing to copy", () => {
    const { unmount } = show(hello);
    expect(screen.queryByRole("button", { name: "Copy transcript" })).toBeNull();
    unmount();
    show();
    expect(screen.getByText("None.")).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });

  it("can be downloaded in three formats", async () => {
    const saved: Blob[] = [];
    const names: string[] = [];
    vi.stubGlobal(
      "URL",
      Object.assign(URL, {
        createObjectURL: (blob: Blob) => `blob:${saved.push(blob)}`,
        revokeObjectURL: vi.fn(),
      }),
    );
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
      this: HTMLAnchorElement,
    ) {
      names.push(this.download);
    });
    show(hello);
    const opener = screen.getByRole("button", { name: "Download transcript" });
    for (const name of ["Text", "JSON", "Subtitles (WebVTT)"]) {
      fireEvent.click(opener);
      fireEvent.click(screen.getByRole("button", { name }));
      expect(opener.getAttribute("aria-expanded")).toBe("false");
      expect(document.activeElement).toBe(opener);
    }
    expect(names).toEqual(["transcript.txt", "transcript.json", "transcript.vtt"]);
    expect(await saved[0]?.text()).toBe("[12:00:00] User: Hello.\n");
    expect(saved.map(({ type }) => type)).toEqual(["text/plain", "application/json", "text/vtt"]);
  });

  it("has a menu of formats that Escape and a look elsewhere close, and nothing else", () => {
    const handled: boolean[] = [];
    show(hello);
    const opener = screen.getByRole("button", { name: "Download transcript" });
    const formats = (): HTMLElement | null => screen.queryByRole("group", { name: "Download as" });
    const listener = (event: KeyboardEvent): void => void handled.push(event.defaultPrevented);
    window.addEventListener("keydown", listener);
    fireEvent.click(opener);
    fireEvent.keyDown(opener, { key: "Escape" });
    expect(formats()).toBeNull();
    fireEvent.keyDown(opener, { key: "Escape" });
    expect(handled).toEqual([true, false]);
    window.removeEventListener("keydown", listener);

    fireEvent.click(opener);
    fireEvent.pointerDown(formats() ?? document.body);
    expect(formats()).toBeTruthy();
    fireEvent.pointerDown(document.body);
    expect(formats()).toBeNull();

    fireEvent.click(opener);
    act(() => screen.getByRole("log").focus());
    expect(formats()).toBeNull();
  });
});
