import { STAGE_LABELS, humanize } from "../../session/labels";
import { linePath, MINUTES, slotsOf, topOf } from "../chart";
import type { Minute, Overview, Spread } from "../messages";
import { formatClock, formatMs } from "../words";

type Slots = (Minute | null)[];

/** How long users waited for answers within the last hour, and what for. */
export function AnswerTimes({ overview }: { overview: Overview }) {
  const slots = slotsOf(overview);
  const answers = overview.minutes.reduce((sum, minute) => sum + minute.answers, 0);
  return (
    <section className="op-panel op-times" aria-labelledby="op-times-title">
      <header className="op-panel__head">
        <h2 id="op-times-title">Time until the answer</h2>
        <span className="op-count">
          {answers} {answers === 1 ? "answer" : "answers"}, last hour
        </span>
      </header>
      {answers === 0 ? (
        <p className="op-empty">Nobody was answered in the last hour.</p>
      ) : (
        <>
          <Chart slots={slots} until={Date.parse(overview.at)} />
          <Stages slots={slots} />
          <AsTable minutes={overview.minutes} />
        </>
      )}
    </section>
  );
}

const LINES = [
  { name: "95 %", className: "op-line op-line--p95", of: (wait: Spread) => wait.p95_ms },
  { name: "Median", className: "op-line op-line--p50", of: (wait: Spread) => wait.p50_ms },
] as const;

/** Two lines. Whoever cannot see them has the table. */
function Chart({ slots, until }: { slots: Slots; until: number }) {
  const top = topOf(slots.map((slot) => slot?.wait?.p95_ms ?? null));
  return (
    <figure className="op-chart" aria-hidden="true">
      <figcaption className="op-legend">
        {LINES.toReversed().map(({ name, className }) => (
          <span key={name} className={`${className} op-key`}>
            {name}
          </span>
        ))}
      </figcaption>
      <div className="op-chart__top">{formatMs(top)}</div>
      <div className="op-chart__half">{formatMs(top / 2)}</div>
      <div className="op-chart__box">
        <svg viewBox={`0 0 ${MINUTES} 1`} preserveAspectRatio="none">
          <path className="op-grid" d={`M0 0H${MINUTES}M0 .5H${MINUTES}M0 1H${MINUTES}`} />
          {LINES.map(({ name, className, of }) => (
            <path
              key={name}
              className={className}
              d={linePath(
                slots.map((slot) => (slot?.wait ? of(slot.wait) : null)),
                top,
              )}
            />
          ))}
        </svg>
        <div className="op-chart__minutes">
          {slots.map((slot, i) => (
            <span key={i} title={slot ? minuteWords(slot) : undefined} />
          ))}
        </div>
      </div>
      <div className="op-chart__from">{formatClock(until - MINUTES * 60_000)}</div>
      <div className="op-chart__to">{formatClock(until)}</div>
    </figure>
  );
}

function minuteWords({ at, answers, wait, failures }: Minute): string {
  const parts = [formatClock(Date.parse(at))];
  if (wait) {
    parts.push(`median ${formatMs(wait.p50_ms)}`, `95 % ${formatMs(wait.p95_ms)}`);
    parts.push(`${answers} ${answers === 1 ? "answer" : "answers"}`);
  }
  if (failures > 0) parts.push(`${failures} failed`);
  return parts.join(" · ");
}

/** What the waits were spent on: a small line for each, and its last times. */
function Stages({ slots }: { slots: Slots }) {
  const there = new Set(slots.flatMap((slot) => Object.keys(slot?.stages ?? {})));
  const known = Object.keys(STAGE_LABELS).filter((name) => there.has(name));
  const names = [...known, ...[...there].filter((name) => !known.includes(name))];
  if (names.length === 0) return null;
  const top = topOf(
    slots.flatMap((slot) => names.map((name) => slot?.stages[name]?.p50_ms ?? null)),
  );
  return (
    <table className="op-table op-stages">
      <thead>
        <tr>
          <th scope="col">Spent on</th>
          <th scope="col" aria-hidden="true" />
          <th scope="col" className="op-number">
            Median
          </th>
          <th scope="col" className="op-number">
            95 %
          </th>
        </tr>
      </thead>
      <tbody>
        {names.map((name) => {
          const spreads = slots.map((slot) => slot?.stages[name] ?? null);
          const last = spreads.findLast((spread) => spread !== null);
          const medians = spreads.map((spread) => spread?.p50_ms ?? null);
          return (
            <tr key={name}>
              <th scope="row">{STAGE_LABELS[name] ?? humanize(name)}</th>
              <td aria-hidden="true" className="op-spark">
                <svg viewBox={`0 0 ${MINUTES} 1`} preserveAspectRatio="none">
                  <path className="op-line op-line--p50" d={linePath(medians, top)} />
                </svg>
              </td>
              <td className="op-number">{last ? formatMs(last.p50_ms) : "–"}</td>
              <td className="op-number">{last ? formatMs(last.p95_ms) : "–"}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function AsTable({ minutes }: { minutes: Minute[] }) {
  return (
    <details className="op-details">
      <summary>By the minute</summary>
      <div className="op-scroll" tabIndex={0} role="group" aria-label="By the minute">
        <table className="op-table">
          <thead>
            <tr>
              <th scope="col">Minute</th>
              <th scope="col" className="op-number">
                Answers
              </th>
              <th scope="col" className="op-number">
                Median
              </th>
              <th scope="col" className="op-number">
                95 %
              </th>
              <th scope="col" className="op-number">
                Failures
              </th>
            </tr>
          </thead>
          <tbody>
            {minutes.toReversed().map(({ at, answers, wait, failures }) => (
              <tr key={at}>
                <td>{formatClock(Date.parse(at))}</td>
                <td className="op-number">{answers}</td>
                <td className="op-number">{wait ? formatMs(wait.p50_ms) : "–"}</td>
                <td className="op-number">{wait ? formatMs(wait.p95_ms) : "–"}</td>
                <td className="op-number">{failures}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
