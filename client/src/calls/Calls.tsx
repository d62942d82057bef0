import { ErrorCard } from "../components/ErrorCard";
import { KeyForm } from "../components/KeyForm";
import { Transcript } from "../components/Transcript";
import { describeError } from "../components/problems";
import { formatDuration, humanize } from "../session/labels";
import type { TranscriptEntry } from "../session/types";
import type { Loaded } from "./CallsPage";
import type { CallRecord } from "./records";
import "./calls.css";

export interface CallsProps {
  calls: Loaded<CallRecord[]>;
  selected: CallRecord | null;
  /** That of the selected call. */
  transcript: Loaded<TranscriptEntry[]>;
  onSelect: (call: CallRecord | null) => void;
  onKey: (key: string) => void;
  onRetry: () => void;
}

export function Calls({ calls, selected, transcript, ...on }: CallsProps) {
  return (
    <main className="calls" data-selected={selected !== null}>
      <header className="calls__head">
        <a href="#" className="calls__home">
          Parlante
        </a>
        <h1 className="calls__title">Past calls</h1>
      </header>
      <div className="calls__list">
        {calls.status === "ready" ? (
          <List calls={calls.value} selected={selected} onSelect={on.onSelect} />
        ) : (
          <Waiting status={calls.status} onKey={on.onKey} onRetry={on.onRetry} />
        )}
      </div>
      {selected && (
        <section className="calls__call" aria-label="Call">
          <button
            type="button"
            className="button button--plain calls__back"
            onClick={() => on.onSelect(null)}
          >
            All calls
          </button>
          {transcript.status === "ready" ? (
            <Transcript
              entries={transcript.value}
              call={{
                agent: selected.agent,
                startedAt: selected.at,
                endedAt: selected.endReason === null ? null : selected.at + selected.durationMs,
              }}
              agentLabel={humanize(selected.agent)}
              placeholder="Nothing was said."
            />
          ) : (
            <Waiting status={transcript.status} onKey={on.onKey} onRetry={on.onRetry} />
          )}
        </section>
      )}
    </main>
  );
}

interface ListProps {
  calls: CallRecord[];
  selected: CallRecord | null;
  onSelect: (call: CallRecord) => void;
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function List({ calls, selected, onSelect }: ListProps) {
  if (calls.length === 0) return <p className="calls__none">There were no calls yet.</p>;
  return (
    <ol className="calls__calls">
      {calls.map((call) => (
        <li key={call.id}>
          <button
            type="button"
            className="call"
            aria-current={call.id === selected?.id}
            onClick={() => onSelect(call)}
          >
            <span className="call__agent">{humanize(call.agent)}</span>
            <span className="call__length">
              {call.endReason === null ? "goes on" : formatDuration(call.durationMs)}
            </span>
            <time className="call__at" dateTime={new Date(call.at).toISOString()}>
              {DAY.format(call.at)}
            </time>
          </button>
        </li>
      ))}
    </ol>
  );
}

interface WaitingProps {
  status: Exclude<Loaded<unknown>["status"], "ready">;
  onKey: (key: string) => void;
  onRetry: () => void;
}

function Waiting({ status, onKey, onRetry }: WaitingProps) {
  if (status === "loading") return <p className="calls__none">Looking…</p>;
  const problem = describeError({ kind: status === "failed" ? "server-unreachable" : status });
  return (
    <ErrorCard title={problem.title} advice={problem.advice}>
      {status === "failed" ? (
        <button type="button" className="button" onClick={onRetry}>
          {problem.action}
        </button>
      ) : (
        <KeyForm action="Show the calls" onKey={onKey} />
      )}
    </ErrorCard>
  );
}
