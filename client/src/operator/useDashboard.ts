/** Binds the service to the dashboard: asks it again and again, and does what the operator wants. */
import { useCallback, useEffect, useReducer, useRef } from "react";
import { ApiError } from "./api";
import type { OperatorApi } from "./api";
import { backoffMs, sleep, untilVisible } from "./backoff";
import { initialDashboard, reduce } from "./dashboard";
import type { DashboardEvent, DashboardState } from "./dashboard";

/** How often it is asked what goes on. */
const ACTIVE_MS = 1000;
/** How many of these pass until the rest is asked for. */
const OVERVIEW_EVERY = 5;

export interface Dashboard {
  state: DashboardState;
  endSession: (id: string) => void;
  drain: () => void;
  /** Ask now, and not when it is time to. */
  retry: () => void;
  dismissProblem: () => void;
}

export function useDashboard(api: OperatorApi): Dashboard {
  const [state, dispatch] = useReducer(reduce, initialDashboard);
  const hurry = useRef<AbortController | null>(null);

  useEffect(() => {
    const stop = new AbortController();
    const rest = async (ms: number): Promise<void> => {
      hurry.current = new AbortController();
      await sleep(ms, AbortSignal.any([stop.signal, hurry.current.signal]));
    };
    void follow(api, dispatch, rest, stop.signal);
    return () => stop.abort();
  }, [api]);

  const endSession = useCallback(
    (id: string): void => {
      dispatch({ type: "ending", id });
      api.end(id).then(
        () => dispatch({ type: "ended", id }),
        (error: unknown) => dispatch({ type: "not-done", id, message: wordsOf(error) }),
      );
    },
    [api],
  );

  const drain = useCallback((): void => {
    dispatch({ type: "drain-asked" });
    api
      .drain()
      .catch((error: unknown) =>
        dispatch({ type: "not-done", id: null, message: wordsOf(error) }),
      );
  }, [api]);

  const retry = useCallback((): void => hurry.current?.abort(), []);
  const dismissProblem = useCallback((): void => dispatch({ type: "dismiss-problem" }), []);

  return { state, endSession, drain, retry, dismissProblem };
}

/** Ask until it is stopped, or until the service lets nobody in with this key. */
async function follow(
  api: OperatorApi,
  dispatch: (event: DashboardEvent) => void,
  rest: (ms: number) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  let failures = 0;
  // `aborted` changes while this waits, which the compiler does not know.
  const stopped = (): boolean => stop.aborted;
  for (let round = 0; !stopped(); round++) {
    await untilVisible(stop);
    try {
      const { sessions } = await api.active(stop);
      if (stopped()) return;
      if (failures > 0) round = 0;
      failures = 0;
      dispatch({ type: "active", sessions, at: Date.now() });
      if (round % OVERVIEW_EVERY === 0) {
        const [overview, recent] = await Promise.all([api.overview(stop), api.recent(stop)]);
        if (stopped()) return;
        dispatch({ type: "overview", overview, recent: recent.sessions });
      }
    } catch (error) {
      if (stopped()) return;
      const kind = error instanceof ApiError ? error.kind : "gone";
      failures += 1;
      const retryAt = Date.now() + backoffMs(failures);
      dispatch({ type: "failed", kind, message: wordsOf(error), retryAt });
      if (kind === "key-needed" || kind === "key-refused" || kind === "not-operator") return;
    }
    await rest(failures > 0 ? backoffMs(failures) : ACTIVE_MS);
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof ApiError && error.kind !== "gone") return error.message;
  return "The service does not answer.";
}
