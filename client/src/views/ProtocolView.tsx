import { useEffect, useRef } from "react";
import { AgentPicker } from "../components/AgentPicker";
import { ErrorCard } from "../components/ErrorCard";
import { FailureCard, asksForKey } from "../components/FailureCard";
import { Grille } from "../components/Grille";
import { HoldButton } from "../components/HoldButton";
import { Steps } from "../components/Steps";
import { Transcript } from "../components/Transcript";
import { UnreachableCard } from "../components/UnreachableCard";
import { HangUpIcon, MicIcon, MicOffIcon } from "../components/icons";
import { statusLabel } from "../protocols/labels";
import { describeLineError, describeLineNotice } from "../protocols/problems";
import type { Conversation } from "../protocols/conversation";
import type { Protocol } from "../protocols/protocol";
import type { AgentsState } from "../session/useAgents";

export interface ProtocolViewProps {
  title: string;
  /** What this protocol is for, in a sentence. */
  line: string;
  talk: Protocol["talk"];
  state: Conversation;
  agents: AgentsState;
  selected: string | null;
  agentLabel: string;
  micTrack: MediaStreamTrack | null;
  botTrack: MediaStreamTrack | null;
  onSelect: (name: string) => void;
  onStart: () => void;
  /** The user has given a key, with which to start. */
  onKey: (key: string) => void;
  onEnd: () => void;
  onHold: () => void;
  onLetGo: () => void;
  onHandsFree: (handsFree: boolean) => void;
  onMute: (muted: boolean) => void;
  onReloadAgents: () => void;
  onDismissError: () => void;
  onDismissNotice: () => void;
  onUnblockSound: () => void;
}

export function ProtocolView(props: ProtocolViewProps) {
  const { state, agents, onEnd } = props;
  const isOff = state.voiceState === "disconnected";
  const view = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!isOff) view.current?.focus({ preventScroll: true });
  }, [isOff]);

  useEffect(() => {
    if (isOff) return;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented) onEnd();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [isOff, onEnd]);

  return (
    <main className="screen">
      <div
        ref={view}
        className="frame protocol"
        tabIndex={-1}
        data-voice-state={state.voiceState}
        data-muted={state.muted}
      >
        <header className="frame__head">
          <a className="protocol__back" href="#">
            Parlante
          </a>
          <h1 className="protocol__title">{props.title}</h1>
          <p className="protocol__line">{isOff ? props.line : `With ${props.agentLabel}.`}</p>
        </header>

        <div className="frame__stage">
          <Grille
            state={isOff ? null : state.voiceState}
            muted={state.muted}
            micTrack={props.micTrack}
            botTrack={props.botTrack}
          />
          <p className="frame__status" role="status" aria-live="polite">
            {statusLabel(state)}
          </p>
          <Hint state={state} />
        </div>

        <div className="frame__side">
          <Problems {...props} />
          {!isOff && state.steps && <Steps steps={state.steps} />}
          {(!isOff || state.transcript.length > 0) && (
            <Transcript
              entries={state.transcript}
              call={{ agent: props.selected, startedAt: null, endedAt: null }}
              agentLabel={props.agentLabel}
              placeholder="What you and the agent say appears here."
            />
          )}
          {isOff && agents.status === "ready" && (
            <AgentPicker
              agents={agents.agents}
              selected={props.selected}
              onSelect={props.onSelect}
            />
          )}
          {isOff && agents.status === "loading" && <p>Looking for agents…</p>}
        </div>

        <footer className="frame__foot">{isOff ? <Start {...props} /> : <Talk {...props} />}</footer>
      </div>
    </main>
  );
}

function Start({ state, selected, onStart }: ProtocolViewProps) {
  const button = useRef<HTMLButtonElement>(null);
  const asks = state.error !== null && asksForKey(state.error);

  // Back from a call: go on from the button that led there, unless something is asked for.
  useEffect(() => {
    if (state.endedBy !== null && !asks) button.current?.focus({ preventScroll: true });
  }, [state.endedBy, asks]);

  return (
    <button
      ref={button}
      type="button"
      className="button button--primary"
      disabled={selected === null}
      onClick={onStart}
    >
      <MicIcon />
      {state.transcript.length === 0 ? "Start" : "Start again"}
    </button>
  );
}

/** The controls of a call. */
function Talk(props: ProtocolViewProps) {
  const { state, talk } = props;
  const isOpen = ["listening", "processing", "thinking", "speaking"].includes(state.voiceState);
  return (
    <div className="talk" role="group" aria-label="Call controls">
      {!state.handsFree && (
        <HoldButton
          held={state.held}
          disabled={!isOpen}
          onHold={props.onHold}
          onLetGo={props.onLetGo}
        />
      )}
      {state.handsFree && (
        <button
          type="button"
          className="button talk__mute"
          onClick={() => props.onMute(!state.muted)}
        >
          {state.muted ? <MicOffIcon /> : <MicIcon />}
          {state.muted ? "Unmute microphone" : "Mute microphone"}
        </button>
      )}
      {talk === "hold-or-free" && (
        <label className="talk__free">
          <input
            type="checkbox"
            checked={state.handsFree}
            disabled={!isOpen || state.held}
            onChange={(event) => props.onHandsFree(event.target.checked)}
          />
          Hands free
        </label>
      )}
      <button
        type="button"
        className="control control--end"
        aria-label="End call"
        aria-keyshortcuts="Escape"
        title="End call (Esc)"
        onClick={props.onEnd}
      >
        <HangUpIcon />
      </button>
    </div>
  );
}

/** A second line under the state, where there is something to add. */
function Hint({ state }: { state: Conversation }) {
  const [text, urgent] = hintOf(state);
  return (
    <p
      className={`frame__hint${urgent ? " frame__hint--urgent" : ""}`}
      role={urgent ? "alert" : undefined}
    >
      {text}
    </p>
  );
}

function hintOf(state: Conversation): [text: string, urgent: boolean] {
  if (state.askingForMicrophone) return ["Please allow the microphone in your browser.", false];
  if (state.unstable) return ["The connection is lost. Trying to get it back…", true];
  if (state.muted) return ["Your microphone is muted.", true];
  if (state.tooShort) return ["That was short. Hold the button for as long as you speak.", false];
  return ["", false];
}

function Problems(props: ProtocolViewProps) {
  const { agents, state } = props;
  if (state.error) {
    return (
      <FailureCard
        error={state.error}
        problem={describeLineError(state.error)}
        onTryAgain={props.onStart}
        onKey={props.onKey}
        onDismiss={props.onDismissError}
      />
    );
  }
  if (state.notice) {
    const { notice } = state;
    const detail = "detail" in notice ? notice.detail : undefined;
    return (
      <ErrorCard {...describeLineNotice(notice)} detail={detail}>
        {notice.kind === "sound-blocked" && (
          <button type="button" className="button" onClick={props.onUnblockSound}>
            Turn on sound
          </button>
        )}
        <button type="button" className="button button--plain" onClick={props.onDismissNotice}>
          Dismiss
        </button>
      </ErrorCard>
    );
  }
  return agents.status === "failed" ? <UnreachableCard onTryAgain={props.onReloadAgents} /> : null;
}
