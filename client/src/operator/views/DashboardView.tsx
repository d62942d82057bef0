import { useState } from "react";
import type { DashboardState } from "../dashboard";
import type { SessionStatus } from "../messages";
import { formatMs } from "../words";
import { ActiveCalls } from "./ActiveCalls";
import { AnswerTimes } from "./AnswerTimes";
import { Confirm } from "./Confirm";
import { Failures } from "./Failures";
import { RecentCalls } from "./RecentCalls";

export interface DashboardViewProps {
  state: DashboardState;
  now: number;
  onEnd: (id: string) => void;
}

/** All calls, and how the service has done. */
export function DashboardView({ state, now, onEnd }: DashboardViewProps) {
  const [toEnd, setToEnd] = useState<SessionStatus | null>(null);
  const { overview } = state;
  return (
    <div className="op-board">
      <Figures state={state} />
      <ActiveCalls sessions={state.active} ending={state.ending} onEnd={setToEnd} />
      {overview && <AnswerTimes overview={overview} />}
      {overview && <Failures failures={overview.failures} />}
      {overview && <RecentCalls sessions={state.recent} now={now} />}
      {toEnd && (
        <Confirm
          title="End this call?"
          advice={`${toEnd.user} is disconnected at once. What was said stays on record.`}
          action="End the call"
          otherwise="Let it go on"
          onConfirm={() => {
            setToEnd(null);
            onEnd(toEnd.session_id);
          }}
          onCancel={() => setToEnd(null)}
        />
      )}
    </div>
  );
}

function Figures({ state: { active, overview } }: { state: DashboardState }) {
  const last = overview?.minutes.findLast(({ wait }) => wait !== null)?.wait;
  const failures = overview?.failures.reduce((sum, { count }) => sum + count, 0) ?? 0;
  return (
    <dl className="op-figures">
      <Figure
        name="Lines in use"
        value={overview ? `${overview.sessions} of ${overview.lines}` : String(active.length)}
      />
      <Figure name="Answer, median" value={last ? formatMs(last.p50_ms) : "–"} />
      <Figure name="Answer, 95 %" value={last ? formatMs(last.p95_ms) : "–"} />
      <Figure name="Failures, 1 h" value={String(failures)} bad={failures > 0} />
    </dl>
  );
}

function Figure({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div className="op-figure">
      <dt>{name}</dt>
      <dd data-bad={bad}>{value}</dd>
    </div>
  );
}
