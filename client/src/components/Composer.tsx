import { useState } from "react";
import type { KeyboardEvent, ReactNode, SyntheticEvent } from "react";
import { SendIcon } from "./icons";

export interface ComposerProps {
  label: string;
  /** Whether somebody is there to read it. */
  ready: boolean;
  onWrite: (text: string) => void;
  /** Further ways to say something. */
  children?: ReactNode;
}

/** Where a message is written; Enter sends it, and with Shift begins another line. */
export function Composer({ label, ready, onWrite, children }: ComposerProps) {
  const [text, setText] = useState("");
  const canSend = ready && text.trim() !== "";

  const send = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!canSend) return;
    onWrite(text.trim());
    setText("");
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    // While a word is put together by an input method, Enter is for that.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) send(event);
  };

  return (
    <form className="composer" onSubmit={send}>
      <textarea
        className="composer__text"
        aria-label={label}
        placeholder={label}
        rows={1}
        value={text}
        enterKeyHint="send"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button
        type="submit"
        className="control control--small control--send"
        aria-label="Send"
        title="Send (Enter)"
        disabled={!canSend}
      >
        <SendIcon />
      </button>
      {children}
    </form>
  );
}
