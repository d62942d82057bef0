/** The operator's page: all calls, or one of them (`#/operator?call=ID`). */
import { useMemo, useState, useSyncExternalStore } from "react";
import { ErrorCard } from "../components/ErrorCard";
import { KeyForm } from "../components/KeyForm";
import { humanize } from "../session/labels";
import { operatorApi } from "./api";
import type { OperatorApi } from "./api";
import { spanOf } from "./call";
import { conditionOf } from "./dashboard";
import { loadKey, saveKey } from "./key";
import { fitted } from "./sound";
import type { Part } from "./sound";
import { useCall } from "./useCall";
import { useDashboard } from "./useDashboard";
import { useNow } from "./useNow";
import { usePlayer } from "./usePlayer";
import { useSound } from "./useSound";
import { CallView } from "./views/CallView";
import { DashboardView } from "./views/DashboardView";
import { Frame } from "./views/Frame";
import { ACCESS_WORDS } from "./words";
import "./operator.css";

function subscribe(onChange: () => void): () => void {
  window.addEventListener("hashchange", onChange);
  return () => window.removeEventListener("hashchange", onChange);
}

function callOf(hash: string): string | null {
  return new URLSearchParams(hash.split("?")[1]).get("call");
}

export function OperatorPage() {
  const [key, setKey] = useState(loadKey);
  const api = useMemo(() => operatorApi(key), [key]);
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  const call = callOf(hash);
  return (
    <Board
      key={key}
      api={api}
      call={call}
      onKey={(given) => {
        saveKey(given);
        setKey(given);
      }}
    />
  );
}

interface BoardProps {
  api: OperatorApi;
  call: string | null;
  onKey: (key: string) => void;
}

function Board({ api, call, onKey }: BoardProps) {
  const { state, endSession, drain, retry, dismissProblem } = useDashboard(api);
  const now = useNow();
  const { access } = state;
  return (
    <Frame
      condition={conditionOf(state)}
      seenAt={state.seenAt}
      retryInMs={state.lost ? state.lost.retryAt - now : null}
      active={state.active.length}
      problem={state.problem}
      onDrain={access === "granted" ? drain : null}
      onRetry={retry}
      onDismissProblem={dismissProblem}
    >
      {access !== "asking" && access !== "granted" ? (
        <div className="op-gate">
          <ErrorCard {...ACCESS_WORDS[access]}>
            <KeyForm action="Open with this key" onKey={onKey} />
          </ErrorCard>
        </div>
      ) : call === null ? (
        <DashboardView state={state} now={now} onEnd={endSession} />
      ) : (
        <OneCall
          key={call}
          api={api}
          id={call}
          now={now}
          ending={state.ending.includes(call)}
          onEnd={() => endSession(call)}
        />
      )}
    </Frame>
  );
}

const NO_PARTS: Part[] = [];

interface OneCallProps {
  api: OperatorApi;
  id: string;
  now: number;
  ending: boolean;
  onEnd: () => void;
}

function OneCall({ api, id, now, ending, onEnd }: OneCallProps) {
  const state = useCall(api, id);
  const recorded = useSound(api, state.report);
  const { entries } = state;
  const parts = useMemo(() => {
    if (recorded.status !== "ready") return NO_PARTS;
    const joined = entries.filter((entry) => entry.kind === "mark" && entry.what === "joined");
    return fitted(
      recorded.parts,
      joined.map(({ from }) => from),
    );
  }, [entries, recorded]);
  const player = usePlayer(parts);
  const said = spanOf(state, now);
  const span = {
    from: Math.min(said.from, ...parts.map(({ from }) => from)),
    to: Math.max(said.to, ...parts.map(({ to }) => to)),
  };
  return (
    <CallView
      state={state}
      botLabel={humanize(state.report?.bot ?? "bot")}
      span={span}
      now={now}
      sound={recorded.status === "ready" ? { ...recorded, parts } : recorded}
      player={player}
      ending={ending}
      onEnd={onEnd}
    />
  );
}
