import { useCallback, useEffect, useState } from "react";
import { fetchAgents } from "./api";
import type { Agent } from "./types";

export type AgentsState =
  | { status: "loading" }
  | { status: "failed" }
  | { status: "ready"; agents: Agent[]; default: string | null };

/** A server that is still starting is asked again without being told to. */
const RETRY_MS = 3000;

/** The server's agents, and a function that asks for them again. */
export function useAgents(): [AgentsState, () => void] {
  const [state, setState] = useState<AgentsState>({ status: "loading" });
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    fetchAgents(abort.signal).then(
      (list) => setState({ status: "ready", ...list }),
      () => {
        if (abort.signal.aborted) return;
        setState({ status: "failed" });
        retry = setTimeout(() => setAttempt((count) => count + 1), RETRY_MS);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(retry);
    };
  }, [attempt]);

  const reload = useCallback(() => {
    setState({ status: "loading" });
    setAttempt((count) => count + 1);
  }, []);

  return [state, reload];
}
