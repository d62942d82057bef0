import { useEffect, useRef } from "react";
import { AgentPicker } from "../components/AgentPicker";
import { FailureCard, asksForKey } from "../components/FailureCard";
import { Grille } from "../components/Grille";
import { ModePicker } from "../components/ModePicker";
import { Transcript } from "../components/Transcript";
import { HomeLinks } from "../components/HomeLinks";
import { UnreachableCard } from "../components/UnreachableCard";
import { MicIcon } from "../components/icons";
import { describeError } from "../components/problems";
import type { AgentsState } from "../session/useAgents";
import { STATE_LABELS, formatDuration } from "../session/labels";
import type { Mode, SessionState } from "../session/types";

export interface HomeProps {
  agents: AgentsState;
  selected: string | null;
  /** How the selected agent can be talked with, and how it is to be. */
  modes: Mode[];
  mode: Mode | null;
  session: SessionState;
  /** What the bot of the last call is called. */
  agentLabel: string;
  onSelect: (name: string) => void;
  onMode: (mode: Mode) => void;
  /** Begin by voice, or in writing. */
  onStart: (writing: boolean) => void;
  /** The user has given a key, with which to start. */
  onKey: (key: string) => void;
  onReloadAgents: () => void;
  onDismissError: () => void;
}

export function Home(props: HomeProps) {
  const { agents, selected, session } = props;
  const hasCall = session.transcript.some((entry) => entry.text);
  const startButton = useRef<HTMLButtonElement>(null);

  // Back from a call: go on from the button that led there, without a jump past what went wrong,
  // unless that asks for something.
  const asks = session.error !== null && asksForKey(session.error);
  useEffect(() => {
    if (session.endedAt !== null && !asks) startButton.current?.focus({ preventScroll: true });
  }, [session.endedAt, asks]);

  return (
    <main className={`home${hasCall ? " home--after" : ""}`}>
      <div className="home__face">
        {hasCall ? (
          <Summary session={session} agentLabel={props.agentLabel} />
        ) : (
          <Grille state={null} />
        )}
      </div>

      <div className="home__panel">
        <header className="home__head">
          <h1 className="home__name">Parlante</h1>
          <p className="home__line">Speak as you would to a person. It listens, and answers.</p>
        </header>

        <Problems {...props} />

        {agents.status === "ready" && (
          <AgentPicker agents={agents.agents} selected={selected} onSelect={props.onSelect} />
        )}
        {props.mode && (
          <ModePicker modes={props.modes} selected={props.mode} onSelect={props.onMode} />
        )}
        {agents.status === "loading" && <p className="home__loading">Looking for agents…</p>}

        <div className="home__go">
          <button
            ref={startButton}
            type="button"
            className="button button--primary"
            disabled={selected === null}
            onClick={() => props.onStart(false)}
          >
            <MicIcon />
            Start conversation
          </button>
          <p className="home__hint">
            Your browser will ask for the microphone.{" "}
            <button
              type="button"
              className="link"
              disabled={selected === null}
              onClick={() => props.onStart(true)}
            >
              Write instead
            </button>
          </p>
        </div>

        <HomeLinks />
      </div>
    </main>
  );
}

function Problems(props: HomeProps) {
  const { agents, session, onStart, onKey, onReloadAgents, onDismissError } = props;
  if (session.error) {
    return (
      <FailureCard
        error={session.error}
        problem={describeError(session.error)}
        onTryAgain={() => onStart(session.writing)}
        onKey={onKey}
        onDismiss={onDismissError}
      />
    );
  }
  return agents.status === "failed" ? <UnreachableCard onTryAgain={onReloadAgents} /> : null;
}

function Summary({ session, agentLabel }: { session: SessionState; agentLabel: string }) {
  const { startedAt, endedAt, endedBy, transcript } = session;
  const length = startedAt !== null && endedAt !== null ? endedAt - startedAt : null;
  return (
    <section className="summary" aria-label="Last call">
      <header className="summary__head">
        <h2 className="summary__title">Call ended</h2>
        <p className="visually-hidden" role="status">
          {STATE_LABELS.disconnected}
        </p>
        <p className="summary__facts">
          {endedBy === "bot" ? `${agentLabel} hung up` : agentLabel}
          {length !== null && ` · ${formatDuration(length)}`}
        </p>
      </header>
      <Transcript entries={transcript} call={session} agentLabel={agentLabel} />
    </section>
  );
}
