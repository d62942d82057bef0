import { memo, useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { ArrowDownIcon } from "../../components/icons";
import { STAGE_LABELS, formatDuration, humanize } from "../../session/labels";
import { place } from "../axis";
import type { Entry, Mark, Tool, Wait } from "../call";
import { formatMs } from "../words";

export interface CallTranscriptProps {
  entries: Entry[];
  botLabel: string;
  isLive: boolean;
  /** Where times count from. */
  from: number;
  /** Where the sound is. */
  at: number | null;
  selected: number | null;
  /** null where there is nothing to be heard. */
  onGo: ((at: number) => void) | null;
}

/** The reader counts as being at the end when this close to it, in px. */
const END_SLACK = 48;

/** All that was said and done, in its order. It follows a call that goes on. */
export function CallTranscript(props: CallTranscriptProps) {
  const { entries, botLabel, isLive, from, at, selected, onGo } = props;
  const list = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);

  useEffect(() => {
    if (isLive && following && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [entries, following, isLive]);

  // Within the list alone: the page stays where it is.
  useEffect(() => {
    const line = list.current?.querySelector<HTMLElement>(`[data-sequence="${selected}"]`);
    if (!line || !list.current) return;
    list.current.scrollTop = line.offsetTop - list.current.clientHeight / 3;
    line.querySelector("details")?.setAttribute("open", "");
  }, [selected]);

  const onScroll = (): void => {
    const element = list.current;
    if (!element) return;
    setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < END_SLACK);
  };

  return (
    <section className="op-panel op-transcript" aria-labelledby="op-transcript-title">
      <header className="op-panel__head">
        <h2 id="op-transcript-title">Transcript</h2>
      </header>
      <div
        ref={list}
        className="op-transcript__list"
        role="log"
        aria-labelledby="op-transcript-title"
        aria-relevant="additions"
        tabIndex={0}
        onScroll={onScroll}
      >
        {entries.length === 0 && <p className="op-empty">Nothing was said yet.</p>}
        <ol>
          {entries.map((entry) => (
            <Line
              key={entry.sequence}
              entry={entry}
              botLabel={botLabel}
              offset={entry.from - from}
              isNow={at !== null && entry.from <= at && at < (entry.to ?? Infinity)}
              isSelected={entry.sequence === selected}
              onGo={onGo}
            />
          ))}
        </ol>
      </div>
      {isLive && !following && (
        <button
          type="button"
          className="op-button op-transcript__latest"
          onClick={() => setFollowing(true)}
        >
          <ArrowDownIcon />
          Latest
        </button>
      )}
    </section>
  );
}

interface LineProps {
  entry: Entry;
  botLabel: string;
  offset: number;
  isNow: boolean;
  isSelected: boolean;
  onGo: ((at: number) => void) | null;
}

const Line = memo(
  function Line({ entry, botLabel, offset, isNow, isSelected, onGo }: LineProps) {
    const clock = formatDuration(offset);
    return (
      <li
        className={`op-said op-said--${entry.kind === "turn" ? entry.speaker : entry.kind}`}
        data-sequence={entry.sequence}
        data-now={isNow}
        data-selected={isSelected}
      >
        {onGo ? (
          <button
            type="button"
            className="op-said__at"
            aria-label={`Play from ${clock}`}
            onClick={() => onGo(entry.from)}
          >
            {clock}
          </button>
        ) : (
          <span className="op-said__at">{clock}</span>
        )}
        <div>{whatOf(entry, botLabel)}</div>
      </li>
    );
  },
  (before, after) =>
    before.entry === after.entry &&
    before.offset === after.offset &&
    before.isNow === after.isNow &&
    before.isSelected === after.isSelected &&
    (before.onGo === null) === (after.onGo === null),
);

function whatOf(entry: Entry, botLabel: string): ReactNode {
  switch (entry.kind) {
    case "turn":
      return (
        <>
          <p className="op-said__who">{entry.speaker === "user" ? "User" : botLabel}</p>
          <p className="op-said__text">
            {entry.heard}
            {entry.interrupted && (
              <>
                {" — "}
                <s className="op-unheard">{entry.unheard}</s>{" "}
                <span className="op-quiet">interrupted</span>
              </>
            )}
          </p>
        </>
      );
    case "tool":
      return <ToolLine tool={entry} />;
    case "wait":
      return <WaitLine wait={entry} />;
    case "mark":
      return <p className="op-quiet">{MARKS[entry.what]}</p>;
  }
}

const MARKS: Readonly<Record<Mark["what"], string>> = {
  started: "The session was started.",
  joined: "The user came.",
  left: "The user left.",
  ended: "The session ended.",
};

function ToolLine({ tool }: { tool: Tool }) {
  const took = tool.to === null ? "" : ` · ${formatMs(tool.to - tool.from)}`;
  return (
    <details>
      <summary>
        <span className="op-said__tool">{humanize(tool.name)}</span>
        <span className="op-quiet" data-outcome={tool.outcome}>
          {" "}
          · {humanize(tool.outcome).toLowerCase()}
          {took}
        </span>
      </summary>
      <dl className="op-tool">
        <dt>Given</dt>
        <dd>{JSON.stringify(tool.arguments)}</dd>
        {tool.result !== null && (
          <>
            <dt>Result</dt>
            <dd>{JSON.stringify(tool.result)}</dd>
          </>
        )}
        {tool.error !== null && (
          <>
            <dt>Error</dt>
            <dd>{tool.error}</dd>
          </>
        )}
      </dl>
    </details>
  );
}

/** The wait for an answer as a waterfall. */
function WaitLine({ wait }: { wait: Wait }) {
  return (
    <details>
      <summary className="op-quiet">
        Answered after <strong>{formatMs(wait.totalMs)}</strong>
        {wait.madeAhead && ", made while the user might have gone on"}
        {wait.withdrawn > 0 && `, ${wait.withdrawn} thrown away before`}
      </summary>
      <dl className="op-waterfall">
        {wait.stages.map(({ name, from, ms }) => (
          <div key={name}>
            <dt>{STAGE_LABELS[name] ?? humanize(name)}</dt>
            <dd>
              {formatMs(ms)}
              <span className="op-waterfall__track" aria-hidden="true">
                <span data-stage={name} style={place(wait, from, from + ms)} />
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
