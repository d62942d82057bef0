import { useState } from "react";
import { describe } from "./ConnectionSign";
import { STAGE_LABELS, humanize } from "../session/labels";
import type { Quality } from "../session/quality";
import type { TurnLatency } from "../session/types";

export interface ResponseTimesProps {
  /** Of the last answers, oldest first. */
  latencies: TurnLatency[];
  /** Of the connection; null where nothing is known of it. */
  quality: Quality | null;
}

/** How long the agent took to answer, and what that time went into; of each of the last answers. */
export function ResponseTimes({ latencies, quality }: ResponseTimesProps) {
  const [chosen, setChosen] = useState<TurnLatency | null>(null);
  const newest = latencies.length - 1;
  const found = chosen ? latencies.indexOf(chosen) : -1;
  const index = found >= 0 ? found : newest;
  const shown = latencies[index];
  const show = (at: number): void => setChosen(at < newest ? (latencies[at] ?? null) : null);
  return (
    <div className="panel times" role="group" aria-label="Response times">
      {shown ? <Waterfall latency={shown} /> : <p>Ask something: the time is taken.</p>}
      {latencies.length > 1 && (
        <p className="times__turns">
          <button
            type="button"
            className="quiet-button"
            aria-label="Earlier"
            disabled={index === 0}
            onClick={() => show(index - 1)}
          >
            ‹
          </button>
          Answer {index + 1} of the last {latencies.length}
          <button
            type="button"
            className="quiet-button"
            aria-label="Later"
            disabled={index === newest}
            onClick={() => show(index + 1)}
          >
            ›
          </button>
        </p>
      )}
      {latencies.length > 1 && (
        <p className="times__before">
          Half of them came within {medianMs(latencies)} ms.
        </p>
      )}
      {quality && <p className="times__connection">The connection: {describe(quality)}.</p>}
    </div>
  );
}

function Waterfall({ latency }: { latency: TurnLatency }) {
  const { totalMs, stages, madeAhead, withdrawn } = latency;
  const length = stages.reduce((sum, { ms }) => sum + ms, 0) || 1;
  const rows = stages.map(({ name, ms }, i) => {
    const before = stages.slice(0, i).reduce((sum, stage) => sum + stage.ms, 0);
    return { name, ms, left: `${(100 * before) / length}%`, width: `${(100 * ms) / length}%` };
  });
  return (
    <>
      <p className="times__total">
        Answered after <strong>{totalMs} ms</strong>
        {madeAhead && " — made while you might have gone on"}
        {withdrawn > 0 && `, ${withdrawn} thrown away before`}
      </p>
      <dl className="times__stages">
        {rows.map(({ name, ms, left, width }) => (
          <div key={name} className="times__stage">
            <dt>{STAGE_LABELS[name] ?? humanize(name)}</dt>
            <dd>
              {ms} ms
              <span className="times__track" aria-hidden="true">
                <span className="times__bar" style={{ left, width }} />
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function medianMs(latencies: TurnLatency[]): number {
  const sorted = latencies.map(({ totalMs }) => totalMs).sort((a, b) => a - b);
  const half = sorted.length / 2;
  const around = sorted.slice(Math.ceil(half) - 1, Math.floor(half) + 1);
  return Math.round(around.reduce((sum, ms) => sum + ms, 0) / around.length);
}
