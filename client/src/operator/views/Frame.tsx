import { useState } from "react";
import type { ReactNode } from "react";
import type { Condition } from "../dashboard";
import { formatClock } from "../words";
import { Confirm } from "./Confirm";

export interface FrameProps {
  condition: Condition;
  /** When the service last answered, in ms. */
  seenAt: number | null;
  /** Until it is asked again; null while it answers. */
  retryInMs: number | null;
  /** How many calls go on. */
  active: number;
  /** What could not be done. */
  problem: string | null;
  /** null for who may not. */
  onDrain: (() => void) | null;
  onRetry: () => void;
  onDismissProblem: () => void;
  children: ReactNode;
}

const CONDITIONS: Readonly<Record<Condition, string>> = {
  asking: "Asking the service…",
  running: "Running",
  draining: "Draining: no more calls are taken",
  stopped: "Stopped",
  lost: "No answer",
  closed: "Closed",
};

/** What stands around every view: how the service is, and the way to stop it. */
export function Frame(props: FrameProps) {
  const { condition, onDrain, problem } = props;
  const [asks, setAsks] = useState(false);
  const confirm = (): void => {
    setAsks(false);
    onDrain?.();
  };
  return (
    <main className="op">
      <header className="op-head">
        <a className="op-head__name" href="#" aria-label="Parlante, the home page">
          parlante
        </a>
        <h1 className="op-head__title">Operator</h1>
        <p className="op-head__state" role="status" data-condition={condition}>
          {CONDITIONS[condition]}
        </p>
        {onDrain && (
          <button
            type="button"
            className="op-button"
            disabled={condition !== "running"}
            onClick={() => setAsks(true)}
          >
            Drain
          </button>
        )}
      </header>
      {asks && (
        <Confirm
          title="Drain the service?"
          advice={`No more calls are taken, ${goOn(props.active)}, and then the service stops. This cannot be undone.`}
          action="Drain and stop"
          otherwise="Keep it running"
          onConfirm={confirm}
          onCancel={() => setAsks(false)}
        />
      )}
      <Gone {...props} />
      {problem !== null && (
        <div className="op-banner op-banner--bad">
          <p role="alert">{problem}</p>
          <button type="button" className="op-button" onClick={props.onDismissProblem}>
            Dismiss
          </button>
        </div>
      )}
      {props.children}
    </main>
  );
}

function goOn(active: number): string {
  if (active === 0) return "nobody is in one now";
  return `the ${active === 1 ? "one that goes" : `${active} that go`} on may come to ${active === 1 ? "its" : "their"} end`;
}

function Gone({ condition, seenAt, retryInMs, onRetry }: FrameProps) {
  if (retryInMs === null) return null;
  const secs = Math.max(0, Math.ceil(retryInMs / 1000));
  return (
    <div className={`op-banner${condition === "stopped" ? "" : " op-banner--bad"}`}>
      <p role="alert">
        {condition === "stopped"
          ? "The service has stopped, as it was told to."
          : "The service does not answer."}
        {seenAt !== null && ` What is shown is of ${formatClock(seenAt)}.`}
      </p>
      <span className="op-banner__when">
        {secs > 0 ? `Asking again in ${secs} s` : "Asking again…"}
      </span>
      <button type="button" className="op-button" onClick={onRetry}>
        Ask now
      </button>
    </div>
  );
}
