import { memo, useId } from "react";
import { describeTool, formatWait, humanize, toolState } from "../session/labels";
import type { ToolCall, TranscriptEntry } from "../session/types";
import { ChevronIcon, ToolIcon } from "./icons";

export interface EntryProps {
  entry: TranscriptEntry;
  /** What the bot is called. */
  agentLabel: string;
}

export const Entry = memo(function Entry({ entry, agentLabel }: EntryProps) {
  const { role, text, final, interrupted, unheard, tool } = entry;
  if (tool) return <ToolCard entry={entry} tool={tool} />;
  if (!text) return null;
  const interim = role === "user" && !final;
  return (
    <div
      className={`entry entry--${role}${interim ? " entry--interim" : ""}`}
      data-role={role}
      data-final={final}
      data-interrupted={interrupted}
    >
      <p className="entry__who">
        {role === "user" ? "You" : agentLabel}
        {interim && <span className="entry__mark">still being heard</span>}
        {interrupted && <span className="entry__mark">interrupted</span>}
      </p>
      <p className="entry__words">
        <span className="entry__text">{text}</span>
        {unheard && <Unheard text={unheard} />}
      </p>
    </div>
  );
});

function Unheard({ text }: { text: string }) {
  return (
    <span className="entry__unheard">
      <span className="visually-hidden"> (not heard:</span>
      {text}
      <span className="visually-hidden">)</span>
    </span>
  );
}

function ToolCard({ entry, tool }: { entry: TranscriptEntry; tool: ToolCall }) {
  const { text, final, at, endedAt } = entry;
  const head = (
    <>
      <ToolIcon />
      <span className="tool__name">{describeTool(text)}</span>
      <span className="tool__state">
        {toolState(tool, final)}
        {endedAt !== null && ` · ${formatWait(endedAt - at)}`}
      </span>
    </>
  );
  const isTold = tool.arguments !== undefined || tool.result !== undefined;
  return (
    <div
      className="entry entry--tool tool"
      data-role="tool"
      data-final={final}
      data-outcome={tool.outcome}
    >
      {isTold ? (
        <details>
          <summary className="tool__head">
            {head}
            <ChevronIcon />
            {tool.arguments !== undefined && (
              <span className="tool__preview">{preview(tool.arguments)}</span>
            )}
          </summary>
          <div className="tool__values">
            <Values title="Arguments" of={tool.arguments} />
            <Values title="Result" of={tool.result} />
          </div>
        </details>
      ) : (
        <p className="tool__head">{head}</p>
      )}
    </div>
  );
}

/** `{"day": "Sunday", "hour": 10}` -> `Sunday · 10` */
function preview(value: unknown): string {
  return parts(value)
    .map(([, part]) => part)
    .join(" · ");
}

/** An object by its names; anything else as one value without a name. */
function parts(value: unknown): [string, string][] {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const named: [string, unknown][] = isObject ? Object.entries(value) : [["", value]];
  return named.map(([name, part]) => [
    name,
    typeof part === "string" ? part : JSON.stringify(part, null, 2),
  ]);
}

function Values({ title, of }: { title: string; of: unknown }) {
  const id = useId();
  if (of === undefined) return null;
  return (
    <>
      <p id={id} className="tool__title">
        {title}
      </p>
      <ul aria-labelledby={id}>
        {parts(of).map(([name, part]) => (
          <li key={name}>
            {name && <span className="tool__key">{humanize(name)}: </span>}
            {part}
          </li>
        ))}
      </ul>
    </>
  );
}
