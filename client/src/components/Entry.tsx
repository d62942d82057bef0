import { memo } from "react";
import { describeTool, formatWait, toolState } from "../session/labels";
import type { ToolCall, TranscriptEntry } from "../session/types";
import { ToolIcon } from "./icons";

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
            {tool.arguments !== undefined && (
              <span className="tool__preview">{preview(tool.arguments)}</span>
            )}
          </summary>
          <dl className="tool__values">
            <Value name="Arguments" value={tool.arguments} />
            <Value name="Result" value={tool.result} />
          </dl>
        </details>
      ) : (
        <p className="tool__head">{head}</p>
      )}
    </div>
  );
}

/** `{"day": "Sunday", "hour": 10}` -> `Sunday · 10` */
function preview(values: unknown): string {
  const all = typeof values === "object" && values !== null ? Object.values(values) : [values];
  return all.map(asText).join(" · ");
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function Value({ name, value }: { name: string; value: unknown }) {
  if (value === undefined) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{asText(value)}</dd>
    </>
  );
}
