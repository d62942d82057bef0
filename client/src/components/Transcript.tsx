import { memo, useEffect, useRef, useState } from "react";
import { humanize } from "../session/labels";
import { transcriptAsText } from "../session/transcript";
import type { TranscriptEntry } from "../session/types";
import { ArrowDownIcon, CopyIcon, DownloadIcon } from "./icons";

export interface TranscriptProps {
  entries: TranscriptEntry[];
  /** What the bot is called. */
  agentLabel: string;
  /** Shown while nothing was said. */
  placeholder?: string;
}

/** The reader counts as being at the end when this close to it, in px. */
const END_SLACK = 48;

export function Transcript({ entries, agentLabel, placeholder }: TranscriptProps) {
  const log = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);

  useEffect(() => {
    if (following && log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [entries, following]);

  const onScroll = (): void => {
    const element = log.current;
    if (!element) return;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    setFollowing(left < END_SLACK);
  };

  return (
    <section className="transcript">
      <header className="transcript__head">
        <h2 className="transcript__title">Transcript</h2>
        {entries.length > 0 && <Keep text={() => transcriptAsText(entries, agentLabel)} />}
      </header>
      <div
        ref={log}
        className="transcript__log"
        role="log"
        aria-label="Transcript"
        aria-relevant="additions"
        tabIndex={0}
        onScroll={onScroll}
      >
        {entries.length === 0 && <p className="transcript__empty">{placeholder}</p>}
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} agentLabel={agentLabel} />
        ))}
      </div>
      {!following && (
        <button type="button" className="transcript__latest" onClick={() => setFollowing(true)}>
          <ArrowDownIcon />
          Latest
        </button>
      )}
    </section>
  );
}

interface EntryProps {
  entry: TranscriptEntry;
  agentLabel: string;
}

const Entry = memo(function Entry({ entry, agentLabel }: EntryProps) {
  const { role, text, final, interrupted } = entry;
  if (role === "tool") return <ToolEntry entry={entry} />;
  if (!text) return null;
  const interim = role === "user" && !final;
  return (
    <div
      className={`entry entry--${role}${interim ? " entry--interim" : ""}`}
      data-role={role}
      data-final={final}
      data-interrupted={interrupted}
      aria-busy={interim}
    >
      <p className="entry__who">{role === "user" ? "You" : agentLabel}</p>
      <p className="entry__text">
        {text}
        {interim && <span className="visually-hidden"> (still being heard)</span>}
        {interrupted && (
          <span className="entry__cut">
            {" "}
            — <span>interrupted</span>
          </span>
        )}
      </p>
    </div>
  );
});

function ToolEntry({ entry: { text, final, interrupted } }: { entry: TranscriptEntry }) {
  const state = interrupted ? "cancelled" : final ? "done" : "running";
  return (
    <p className="entry entry--tool" data-role="tool" data-final={final}>
      {text ? humanize(text) : "Looking something up"}
      <span className="entry__state"> · {state}</span>
    </p>
  );
}

function Keep({ text }: { text: () => string }) {
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);

  const copy = (): void => {
    void navigator.clipboard.writeText(text()).then(() => setCopied(true));
  };

  const download = (): void => {
    const url = URL.createObjectURL(new Blob([text()], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "transcript.txt";
    link.click();
    URL.revokeObjectURL(url);
  };

  return (
    <div className="transcript__keep">
      <span className="transcript__copied" aria-live="polite">
        {copied ? "Copied" : ""}
      </span>
      <button type="button" className="quiet-button" aria-label="Copy transcript" onClick={copy}>
        <CopyIcon />
      </button>
      <button
        type="button"
        className="quiet-button"
        aria-label="Download transcript"
        onClick={download}
      >
        <DownloadIcon />
      </button>
    </div>
  );
}
