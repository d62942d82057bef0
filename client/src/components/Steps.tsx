import { humanize } from "../session/labels";
import type { Steps as StepsState } from "../protocols/conversation";

export interface StepsProps {
  steps: StepsState;
}

/** How far the last utterance is: what was heard, what the agent does about it, and its voice. */
export function Steps({ steps }: StepsProps) {
  const { heard, isHeard, tools, written, isSpoken, isOver } = steps;
  const hasAnswer = written !== "" || tools.length > 0;
  return (
    <ol className="steps" aria-label="Steps of the last answer">
      <li className="steps__step" data-step="heard" data-done={isHeard}>
        <h3 className="steps__name">Heard</h3>
        <p className="steps__what">{heard || "…"}</p>
      </li>
      <li className="steps__step" data-step="agent" data-done={hasAnswer && (isSpoken || isOver)}>
        <h3 className="steps__name">Agent</h3>
        <div className="steps__what">
          {tools.map((tool, i) => (
            <Tool key={i} {...tool} />
          ))}
          <p>{written || (hasAnswer ? "" : "…")}</p>
        </div>
      </li>
      <li className="steps__step" data-step="voice" data-done={isSpoken && isOver}>
        <h3 className="steps__name">Voice</h3>
        <p className="steps__what">{isSpoken ? (isOver ? "Spoken." : "Speaking…") : "…"}</p>
      </li>
    </ol>
  );
}

function Tool({ name, args }: { name: string; args: unknown }) {
  return (
    <dl className="tool">
      <dt className="tool__name">{humanize(name)}</dt>
      {Object.entries(args ?? {}).map(([key, value]) => (
        <dd key={key} className="tool__arg">
          <span className="tool__key">{humanize(key)}</span> {asText(value)}
        </dd>
      ))}
    </dl>
  );
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
