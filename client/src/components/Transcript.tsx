import { memo, useCallback, useEffect, useRef, useState } from "react";
import { describeTool, toolState } from "../session/labels";
import type { CallFacts } from "../session/export";
import type { TranscriptEntry } from "../session/types";
import { Entry } from "./Entry";
import { KeepTranscript } from "./KeepTranscript";
import { ArrowDownIcon } from "./icons";

export interface TranscriptProps {
  entries: TranscriptEntry[];
  call: CallFacts;
  /** What the bot is called. */
  agentLabel: string;
  /** Shown while nothing was said. */
  placeholder?: string;
}

/** The reader counts as being at the end when this close to it, in px. */
const END_SLACK = 48;

/** So many entries are rendered together, and left out together by the browser when out of sight. */
const GROUP = 50;

export function Transcript({ entries, call, agentLabel, placeholder }: TranscriptProps) {
  const { log, content, following, onScroll, follow } = useFollowing();
  const groups = Array.from({ length: Math.ceil(entries.length / GROUP) }, (_, i) => i * GROUP);

  return (
    <section className="transcript">
      <header className="transcript__head">
        <h2 className="transcript__title">Transcript</h2>
        {entries.length > 0 && <KeepTranscript entries={entries} call={call} />}
      </header>
      <div
        ref={log}
        className="transcript__log"
        role="log"
        aria-label="Transcript"
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
      >
        {entries.length === 0 && <p className="transcript__empty">{placeholder}</p>}
        <div ref={content}>
          {groups.map((from) => (
            <Group key={from} entries={entries} from={from} agentLabel={agentLabel} />
          ))}
        </div>
      </div>
      <Announcement entries={entries} agentLabel={agentLabel} />
      {!following && (
        <button type="button" className="transcript__latest" onClick={follow}>
          <ArrowDownIcon />
          Latest
        </button>
      )}
    </section>
  );
}

/** Keeps the end in sight as the text grows, unless the reader has scrolled up. */
function useFollowing() {
  const log = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  // What is known before the next rendering: text may grow in the frame in which the reader scrolls.
  const follows = useRef(true);
  const [following, setFollowing] = useState(true);

  const goToEnd = useCallback((): void => {
    if (follows.current && log.current) log.current.scrollTop = log.current.scrollHeight;
  }, []);

  useEffect(() => {
    const sizes = new ResizeObserver(goToEnd);
    for (const { current } of [log, content]) if (current) sizes.observe(current);
    return () => sizes.disconnect();
  }, [goToEnd]);

  const setFollows = (now: boolean): void => {
    follows.current = now;
    setFollowing(now);
  };

  const onScroll = (): void => {
    if (!log.current) return;
    const { scrollTop, scrollHeight, clientHeight } = log.current;
    const left = scrollHeight - scrollTop - clientHeight;
    // Text that got shorter moves up what is at the end, and leaves it there.
    const movedUp = scrollTop < lastTop.current && left > 1;
    lastTop.current = scrollTop;
    setFollows(!movedUp && (follows.current || left < END_SLACK));
  };

  const follow = (): void => {
    setFollows(true);
    goToEnd();
    // The button that led here goes.
    log.current?.focus({ preventScroll: true });
  };

  return { log, content, following, onScroll, follow };
}

interface GroupProps {
  entries: TranscriptEntry[];
  /** The first of the group. */
  from: number;
  agentLabel: string;
}

const Group = memo(
  function Group({ entries, from, agentLabel }: GroupProps) {
    return (
      <div className="transcript__group">
        {entries.slice(from, from + GROUP).map((entry) => (
          <Entry key={entry.sequence} entry={entry} agentLabel={agentLabel} />
        ))}
      </div>
    );
  },
  (before, after) => before.agentLabel === after.agentLabel && hasSameEntries(before, after),
);

function hasSameEntries(before: GroupProps, after: GroupProps): boolean {
  for (let i = after.from; i < after.from + GROUP; i++) {
    if (before.entries[i] !== after.entries[i]) return false;
  }
  return true;
}

/** What screen readers were told last. */
interface Told {
  sequence: number;
  /** What the entry said then: it may go on. */
  text: string;
  words: string;
}

/** Tells screen readers each entry once, when it is over: as it grows, it would be read in bits. */
function Announcement({ entries, agentLabel }: Pick<TranscriptProps, "entries" | "agentLabel">) {
  const [told, setTold] = useState<Told>({ sequence: 0, text: "", words: "" });
  const next = announce(told, entries, agentLabel);
  if (next !== told) setTold(next);
  return (
    <p className="visually-hidden" aria-live="polite">
      {told.words}
    </p>
  );
}

/** What is to be told now; `told` where that is nothing new. */
function announce(told: Told, entries: TranscriptEntry[], agentLabel: string): Told {
  const last = entries.findLast((entry) => entry.final && (entry.text || entry.tool));
  if (!last || last.sequence < told.sequence) return told;
  const { sequence, interrupted } = last;
  const text = last.tool ? toolState(last.tool, true) : last.text;
  const before = sequence === told.sequence ? told.text : "";
  if (text === before) return told;
  const added = text.startsWith(before) ? text.slice(before.length).trim() : text;
  const speaker = last.role === "user" ? "You" : agentLabel;
  const who = last.tool ? describeTool(last.text) : speaker;
  return { sequence, text, words: `${who}${interrupted ? ", interrupted" : ""}: ${added}` };
}
