import { useEffect, useRef } from "react";
import type { KeyboardEvent, PointerEvent } from "react";
import { MicIcon } from "./icons";

export interface HoldButtonProps {
  held: boolean;
  disabled: boolean;
  onHold: () => void;
  onLetGo: () => void;
}

function isTalkKey({ key }: KeyboardEvent): boolean {
  return key === " " || key === "Enter";
}

/**
 * Is held to speak, by mouse, finger, Space or Enter.
 *
 * Once it is held, the pointer may leave it. Whatever takes the pointer or the keyboard away lets
 * go: another window, a gesture of the system, a call on the phone.
 */
export function HoldButton({ held, disabled, onHold, onLetGo }: HoldButtonProps) {
  const button = useRef<HTMLButtonElement>(null);

  // The button that led here is gone: whoever has not gone elsewhere goes on from this one.
  useEffect(() => {
    const isFree = document.activeElement?.matches("body, .frame") ?? true;
    if (!disabled && isFree) button.current?.focus({ preventScroll: true });
  }, [disabled]);

  useEffect(() => {
    if (!held) return;
    const onHidden = (): void => {
      if (document.hidden) onLetGo();
    };
    window.addEventListener("blur", onLetGo);
    document.addEventListener("visibilitychange", onHidden);
    return () => {
      window.removeEventListener("blur", onLetGo);
      document.removeEventListener("visibilitychange", onHidden);
    };
  }, [held, onLetGo]);

  const onPointerDown = (event: PointerEvent<HTMLButtonElement>): void => {
    if (!event.isPrimary || event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    onHold();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!isTalkKey(event)) return;
    event.preventDefault();
    if (!event.repeat) onHold();
  };

  return (
    <button
      ref={button}
      type="button"
      className="hold"
      aria-pressed={held}
      aria-keyshortcuts="Space Enter"
      disabled={disabled}
      onPointerDown={onPointerDown}
      onPointerUp={onLetGo}
      onPointerCancel={onLetGo}
      onLostPointerCapture={onLetGo}
      onKeyDown={onKeyDown}
      onKeyUp={(event) => {
        if (isTalkKey(event)) onLetGo();
      }}
      onBlur={onLetGo}
      onContextMenu={(event) => event.preventDefault()}
    >
      <MicIcon />
      {held ? "Let go when done" : "Hold to speak"}
    </button>
  );
}
