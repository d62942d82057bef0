import { useState } from "react";
import { ErrorCard } from "../../components/ErrorCard";
import { formatDuration } from "../../session/labels";
import type { Span } from "../axis";
import { isLive } from "../call";
import type { CallState } from "../call";
import type { Player } from "../usePlayer";
import type { SoundState } from "../useSound";
import { STATE_WORDS, formatMs, formatWhen, reasonWords } from "../words";
import { CallTranscript } from "./CallTranscript";
import { Confirm } from "./Confirm";
import { SoundControls } from "./SoundControls";
import { Timeline } from "./Timeline";

export interface CallViewProps {
  state: CallState;
  botLabel: string;
  /** What the axis goes over. */
  span: Span;
  now: number;
  sound: SoundState;
  player: Player;
  ending: boolean;
  onEnd: () => void;
}

/** One call: its sound, what was said and done, and what the waits were, on one axis of time. */
export function CallView(props: CallViewProps) {
  const { state, botLabel, span, sound, player } = props;
  const [selected, setSelected] = useState<number | null>(null);
  const canPlay = sound.status === "ready";
  const go = (at: number): void => {
    if (canPlay) player.seek(at);
  };

  if (state.following === "not-found") {
    return (
      <div className="op-gate">
        <Back />
        <ErrorCard
          title="There is no such call."
          advice="It may be of another service, or its name has a letter too few."
        />
      </div>
    );
  }
  return (
    <div className="op-call">
      <Back />
      <Head {...props} />
      <section className="op-panel op-axis" aria-label="Timeline">
        <SoundControls
          sound={sound}
          isLive={isLive(state)}
          player={player}
          span={span}
          botLabel={botLabel}
        />
        <Timeline
          entries={state.entries}
          botLabel={botLabel}
          span={span}
          isLive={isLive(state)}
          parts={canPlay ? sound.parts : []}
          at={player.at}
          selected={selected}
          onSeek={canPlay ? go : null}
          onSelect={(entry) => setSelected(entry.sequence)}
        />
      </section>
      <CallTranscript
        entries={state.entries}
        botLabel={botLabel}
        isLive={isLive(state)}
        from={span.from}
        at={player.at}
        selected={selected}
        onGo={canPlay ? go : null}
      />
    </div>
  );
}

function Back() {
  return (
    <a className="op-back" href="#/operator">
      ← All calls
    </a>
  );
}

function Head({ state, botLabel, now, ending, onEnd }: CallViewProps) {
  const [asks, setAsks] = useState(false);
  const { report } = state;
  if (!report) return <p className="op-empty">Asking for the call…</p>;
  const live = isLive(state);
  const created = Date.parse(report.created_at);
  const lasts = live ? now - state.skewMs - created : report.duration_seconds * 1000;
  const wait = state.entries.findLast((entry) => entry.kind === "wait");
  const voiceState = state.voiceState ?? report.agent_state;
  return (
    <header className="op-call__head">
      <h2 className="op-call__title">
        {report.user} <span>with {botLabel}</span>
      </h2>
      {live ? (
        <p className="op-state" role="status" data-state={ending ? "disconnecting" : voiceState}>
          {ending ? "Ending" : STATE_WORDS[voiceState]}
          {state.following === "lost" && " · not followed at the moment"}
        </p>
      ) : (
        <p className="op-state" role="status" data-state="disconnected">
          {reasonWords(state.endReason)}
        </p>
      )}
      <dl className="op-facts">
        <Fact name="Began" value={formatWhen(created, now)} />
        <Fact name="Time" value={formatDuration(lasts)} />
        <Fact name="By" value={report.transport} />
        <Fact name="Last answer" value={wait ? formatMs(wait.totalMs) : "–"} />
        <Fact name="Cost" value={costOf(report.usage)} />
      </dl>
      {live && (
        <button
          type="button"
          className="op-button op-danger"
          disabled={ending}
          onClick={() => setAsks(true)}
        >
          End the call
        </button>
      )}
      {asks && live && (
        <Confirm
          title="End this call?"
          advice={`${report.user} is disconnected at once. What was said stays on record.`}
          action="End the call"
          otherwise="Let it go on"
          onConfirm={() => {
            setAsks(false);
            onEnd();
          }}
          onCancel={() => setAsks(false)}
        />
      )}
    </header>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function costOf({ cost, currency }: { cost: number; currency: string }): string {
  return cost === 0 ? "–" : `${cost.toFixed(4)} ${currency}`;
}
