/** The conversation in writing. */
import { useEffect, useRef } from "react";
import { CallTimer } from "../components/CallTimer";
import { ConnectionSign } from "../components/ConnectionSign";
import { Composer } from "../components/Composer";
import { Notice } from "../components/Notice";
import { Transcript } from "../components/Transcript";
import { HangUpIcon, MicIcon } from "../components/icons";
import { COMING_BACK_LABEL, INTERRUPTED_LABEL, STATE_LABELS } from "../session/labels";
import type { SessionState } from "../session/types";

export interface ChatProps {
  state: SessionState;
  agentLabel: string;
  onWrite: (text: string) => void;
  /** Go on by voice. */
  onSpeak: () => void;
  onEnd: () => void;
  onDismissNotice: () => void;
  onUnblockSound: () => void;
}

export function Chat({ state, agentLabel, ...on }: ChatProps) {
  const view = useRef<HTMLElement>(null);
  const status = statusOf(state, agentLabel);

  // The button that led here is gone.
  useEffect(() => view.current?.querySelector("textarea")?.focus({ preventScroll: true }), []);

  return (
    <section
      ref={view}
      className="chat"
      aria-label={`Conversation with ${agentLabel}`}
      data-voice-state={state.voiceState}
    >
      <header className="chat__head">
        <h1 className="voice__agent">{agentLabel}</h1>
        <ConnectionSign quality={state.quality} />
        <CallTimer startedAt={state.startedAt} />
        <button
          type="button"
          className="control control--small control--end"
          aria-label="End call"
          title="End call"
          disabled={state.voiceState === "disconnecting"}
          onClick={on.onEnd}
        >
          <HangUpIcon />
        </button>
      </header>

      <div className="chat__said">
        <Transcript
          entries={state.transcript}
          call={state}
          agentLabel={agentLabel}
          placeholder="What you and the agent write appears here."
        />
      </div>

      <footer className="chat__foot">
        {state.notice && (
          <Notice
            notice={state.notice}
            onDismiss={on.onDismissNotice}
            onUnblockSound={on.onUnblockSound}
          />
        )}
        <p className="chat__status" role="status" aria-live="polite">
          {status}
        </p>
        <Composer
          label={`Message to ${agentLabel}`}
          ready={state.connected && !state.unstable && state.startedAt !== null}
          onWrite={on.onWrite}
        >
          <button
            type="button"
            className="control control--small"
            aria-label="Go on by voice"
            title="Go on by voice"
            disabled={!state.connected || state.askingForMicrophone}
            onClick={on.onSpeak}
          >
            <MicIcon />
          </button>
        </Composer>
      </footer>
    </section>
  );
}

function statusOf(state: SessionState, agentLabel: string): string {
  if (state.comingBack) return COMING_BACK_LABEL;
  if (state.unstable) return INTERRUPTED_LABEL;
  if (state.askingForMicrophone) return "Please allow the microphone in your browser.";
  switch (state.voiceState) {
    case "processing":
    case "thinking":
      return `${agentLabel} is writing…`;
    case "listening":
    case "speaking":
      return "";
    default:
      return STATE_LABELS[state.voiceState];
  }
}
