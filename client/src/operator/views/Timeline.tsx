import { memo, useEffect, useRef, useState } from "react";
import type { KeyboardEvent, PointerEvent } from "react";
import { STAGE_LABELS, formatDuration, humanize } from "../../session/labels";
import { momentAt, percent, place, shareAt, ticks } from "../axis";
import type { Span } from "../axis";
import type { Entry, Mark, Tool, Turn, Wait } from "../call";
import { wavePath } from "../sound";
import type { Part } from "../sound";
import { formatMs } from "../words";

export interface TimelineProps {
  entries: Entry[];
  botLabel: string;
  span: Span;
  isLive: boolean;
  parts: Part[];
  /** Where the sound is. */
  at: number | null;
  /** The `sequence` of the chosen entry. */
  selected: number | null;
  /** null where there is nothing to be heard. */
  onSeek: ((at: number) => void) | null;
  onSelect: (entry: Entry) => void;
}

const TICKS = 6;
const MOST_ZOOM = 64;
/** No words at the very end, in shares of what is seen. */
const END_MARGIN = 0.07;
/** The reader counts as being at the end when this close to it, in px. */
const END_SLACK = 32;
const STEP_MS = 1000;
const PAGE_MS = 10_000;

/** What happened when. Whoever cannot see it has the transcript below. */
export function Timeline(props: TimelineProps) {
  const { span, isLive, at, onSeek, botLabel } = props;
  const [zoom, setZoom] = useState(1);
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const length = span.to - span.from;

  // What is new comes in at the right, unless somebody looks at what was before.
  useEffect(() => {
    const element = scroller.current;
    if (element && isLive && atEnd.current) element.scrollLeft = element.scrollWidth;
  }, [isLive, length, zoom]);

  // The hand stays in sight.
  useEffect(() => {
    const element = scroller.current;
    if (!element || at === null) return;
    const x = shareAt(span, at) * element.scrollWidth;
    const isSeen = x >= element.scrollLeft && x <= element.scrollLeft + element.clientWidth;
    if (!isSeen) element.scrollLeft = x - element.clientWidth / 4;
  }, [at, span, zoom]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (!element) return;
    atEnd.current = element.scrollWidth - element.scrollLeft - element.clientWidth < END_SLACK;
  };

  const onPointer = (event: PointerEvent<HTMLElement>): void => {
    if (!onSeek || event.button !== 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    onSeek(momentAt(span, (event.clientX - box.left) / box.width));
  };

  return (
    <div className="op-timeline">
      <div className="op-lanes__names" aria-hidden="true">
        <span />
        <span>User</span>
        <span>{botLabel}</span>
        <span>Tools</span>
        <span>Waits</span>
      </div>
      <div ref={scroller} className="op-lanes__scroll" onScroll={onScroll}>
        <div
          className="op-lanes"
          data-can-seek={onSeek !== null}
          style={{ width: `${100 * zoom}%` }}
          onPointerDown={onPointer}
        >
          <Ruler span={span} zoom={zoom} at={at} onSeek={onSeek} />
          <Lanes {...props} />
          {at !== null && (
            <div className="op-hand" style={{ left: percent(shareAt(span, at)) }} />
          )}
        </div>
      </div>
      <div className="op-zoom" role="group" aria-label="Zoom">
        <button
          type="button"
          className="op-button op-button--row"
          aria-label="Show more of the call"
          disabled={zoom <= 1}
          onClick={() => setZoom(zoom / 2)}
        >
          −
        </button>
        <button
          type="button"
          className="op-button op-button--row"
          aria-label="Show less of the call, larger"
          disabled={zoom >= MOST_ZOOM}
          onClick={() => setZoom(zoom * 2)}
        >
          +
        </button>
      </div>
      <Legend entries={props.entries} />
    </div>
  );
}

interface RulerProps {
  span: Span;
  zoom: number;
  at: number | null;
  onSeek: ((at: number) => void) | null;
}

function Ruler({ span, zoom, at, onSeek }: RulerProps) {
  const length = span.to - span.from;
  const marks = ticks(span, TICKS * zoom)
    .filter((offset) => (1 - offset / length) * zoom > END_MARGIN)
    .map((offset) => (
      <span key={offset} className="op-tick" style={{ left: percent(offset / length) }}>
        {formatDuration(offset)}
      </span>
    ));
  if (!onSeek) {
    return (
      <div className="op-ruler" aria-hidden="true">
        {marks}
      </div>
    );
  }
  const now = at ?? span.from;
  const onKey = (event: KeyboardEvent): void => {
    const to = {
      ArrowLeft: now - STEP_MS,
      ArrowRight: now + STEP_MS,
      PageDown: now - PAGE_MS,
      PageUp: now + PAGE_MS,
      Home: span.from,
      End: span.to,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onSeek(to);
  };
  return (
    <div
      className="op-ruler"
      role="slider"
      tabIndex={0}
      aria-label="Place in the sound"
      aria-valuemin={0}
      aria-valuemax={Math.round(length / 1000)}
      aria-valuenow={Math.round((now - span.from) / 1000)}
      aria-valuetext={`${formatDuration(now - span.from)} of ${formatDuration(length)}`}
      onKeyDown={onKey}
    >
      {marks}
    </div>
  );
}

type LanesProps = Pick<TimelineProps, "entries" | "span" | "parts" | "selected" | "onSelect">;

const Lanes = memo(
  function Lanes({ entries, span, parts, selected, onSelect }: LanesProps) {
    const turns = entries.filter((entry) => entry.kind === "turn");
    const open = (to: number | null): number => to ?? span.to;
    const bar = (entry: Turn | Tool | Wait) => ({
      key: entry.sequence,
      style: place(span, entry.from, open(entry.to)),
      "data-selected": entry.sequence === selected,
      onClick: () => onSelect(entry),
    });
    return (
      <div className="op-lanes__all" aria-hidden="true">
        {(["user", "bot"] as const).map((speaker) => (
          <div key={speaker} className={`op-lane op-lane--${speaker}`}>
            {parts.map((part) => (
              <Wave key={part.from} part={part} span={span} loudness={part.loudness?.[speaker]} />
            ))}
            {turns
              .filter((turn) => turn.speaker === speaker)
              .map((turn) => {
                const { key, ...rest } = bar(turn);
                return (
                  <div
                    key={key}
                    {...rest}
                    className="op-bar op-bar--turn"
                    data-interrupted={turn.interrupted}
                    title={turn.heard}
                  >
                    <span className="op-bar__words">{turn.heard}</span>
                  </div>
                );
              })}
          </div>
        ))}
        <div className="op-lane op-lane--tools">
          {entries
            .filter((entry) => entry.kind === "tool")
            .map((tool) => {
              const { key, ...rest } = bar(tool);
              return (
                <div
                  key={key}
                  {...rest}
                  className="op-bar op-bar--tool"
                  data-outcome={tool.outcome}
                  title={`${humanize(tool.name)}: ${tool.outcome}`}
                >
                  <span className="op-bar__words">{humanize(tool.name)}</span>
                </div>
              );
            })}
        </div>
        <div className="op-lane op-lane--waits">
          {entries
            .filter((entry) => entry.kind === "wait")
            .map((wait) => {
              const { key, ...rest } = bar(wait);
              return (
                <div key={key} {...rest} className="op-bar op-bar--wait">
                  {wait.stages.map(({ name, ms }) => (
                    <span
                      key={name}
                      data-stage={name}
                      style={{ width: percent(ms / wait.totalMs) }}
                      title={`${STAGE_LABELS[name] ?? humanize(name)}: ${formatMs(ms)}`}
                    />
                  ))}
                </div>
              );
            })}
        </div>
        {entries
          .filter((entry) => entry.kind === "mark")
          .map((mark) => (
            <Line key={mark.sequence} mark={mark} span={span} />
          ))}
      </div>
    );
  },
  (before, after) =>
    before.entries === after.entries &&
    before.span.from === after.span.from &&
    before.span.to === after.span.to &&
    before.parts === after.parts &&
    before.selected === after.selected,
);

function Wave({
  part,
  span,
  loudness,
}: {
  part: Part;
  span: Span;
  loudness: number[] | undefined;
}) {
  if (!loudness) return null;
  return (
    <svg
      className="op-wave"
      viewBox={`0 0 ${Math.max(1, loudness.length - 1)} 2`}
      preserveAspectRatio="none"
      style={place(span, part.from, part.to)}
    >
      <path d={wavePath(loudness)} />
    </svg>
  );
}

const COMING: readonly Mark["what"][] = ["joined", "left"];

function Line({ mark, span }: { mark: Mark; span: Span }) {
  if (!COMING.includes(mark.what)) return null;
  return (
    <div
      className="op-mark"
      title={mark.what === "joined" ? "The user came" : "The user left"}
      style={{ left: percent(shareAt(span, mark.from)) }}
    />
  );
}

/** What the colours of the waits stand for. */
function Legend({ entries }: { entries: Entry[] }) {
  const there = new Set(
    entries.flatMap((entry) => (entry.kind === "wait" ? entry.stages.map(({ name }) => name) : [])),
  );
  if (there.size === 0) return null;
  return (
    <ul className="op-stage-legend" aria-hidden="true">
      {[...there].map((name) => (
        <li key={name} data-stage={name}>
          {STAGE_LABELS[name] ?? humanize(name)}
        </li>
      ))}
    </ul>
  );
}
