import { act, fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { HoldButton } from "./HoldButton";

const onHold = vi.fn();
const onLetGo = vi.fn();
const capture = vi.fn();

function show(change: { held?: boolean; disabled?: boolean } = {}) {
  const button = (props = change) => (
    <HoldButton held={false} disabled={false} onHold={onHold} onLetGo={onLetGo} {...props} />
  );
  const { rerender } = render(button());
  return (props: typeof change) => rerender(button(props));
}

function button(): HTMLElement {
  return screen.getByRole("button");
}

function pointer(type: "pointerDown" | "pointerUp" | "pointerCancel" | "pointerLeave", what = {}) {
  fireEvent[type](button(), { pointerId: 7, isPrimary: true, button: 0, ...what });
}

beforeEach(() => {
  vi.clearAllMocks();
  HTMLElement.prototype.setPointerCapture = capture;
});

describe("the button to hold", () => {
  it("is held by mouse or finger, which may leave it", () => {
    show();
    pointer("pointerDown");
    expect(onHold).toHaveBeenCalledOnce();
    expect(capture).toHaveBeenCalledWith(7);
    pointer("pointerLeave");
    expect(onLetGo).not.toHaveBeenCalled();
    pointer("pointerUp");
    expect(onLetGo).toHaveBeenCalledOnce();
  });

  it("is let go when the system takes the finger away", () => {
    show();
    pointer("pointerDown");
    pointer("pointerCancel");
    expect(onLetGo).toHaveBeenCalledOnce();
  });

  it("takes no second finger, and no other button of the mouse", () => {
    show();
    pointer("pointerDown", { isPrimary: false });
    pointer("pointerDown", { button: 2 });
    expect(onHold).not.toHaveBeenCalled();
  });

  it.each([" ", "Enter"])("is held by the key %o, whose repetition says nothing", (key) => {
    show();
    expect(fireEvent.keyDown(button(), { key })).toBe(false);
    fireEvent.keyDown(button(), { key, repeat: true });
    expect(onHold).toHaveBeenCalledOnce();
    fireEvent.keyUp(button(), { key });
    expect(onLetGo).toHaveBeenCalledOnce();
  });

  it("leaves other keys alone", () => {
    show();
    expect(fireEvent.keyDown(button(), { key: "Tab" })).toBe(true);
    fireEvent.keyUp(button(), { key: "Tab" });
    expect(onHold).not.toHaveBeenCalled();
    expect(onLetGo).not.toHaveBeenCalled();
  });

  it("is let go when the keyboard or the window goes elsewhere", () => {
    show({ held: true });
    fireEvent.blur(button());
    fireEvent.blur(window);
    expect(onLetGo).toHaveBeenCalledTimes(2);
    vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(onLetGo).toHaveBeenCalledTimes(3);
  });

  it("says that it is held", () => {
    const rerender = show();
    expect(button().getAttribute("aria-pressed")).toBe("false");
    rerender({ held: true });
    expect(button().getAttribute("aria-pressed")).toBe("true");
    expect(button().textContent).toBe("Let go when done");
  });

  it("has the keyboard as soon as it can be used, unless that is elsewhere", () => {
    const rerender = show({ disabled: true });
    expect(document.activeElement).toBe(document.body);
    rerender({ disabled: false });
    expect(document.activeElement).toBe(button());

    const field = document.body.appendChild(document.createElement("input"));
    field.focus();
    rerender({ disabled: true });
    rerender({ disabled: false });
    expect(document.activeElement).toBe(field);
    field.remove();
  });
});
