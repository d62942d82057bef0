/** Follows one call, from its beginning on, as long as it goes on. */
import { useEffect, useReducer } from "react";
import { ApiError } from "./api";
import type { OperatorApi } from "./api";
import { backoffMs, sleep } from "./backoff";
import { initialCall, reduce } from "./call";
import type { CallEvent, CallState } from "./call";

export function useCall(api: OperatorApi, id: string): CallState {
  const [state, dispatch] = useReducer(reduce, initialCall);

  useEffect(() => {
    const stop = new AbortController();
    void follow(api, id, dispatch, stop.signal);
    return () => stop.abort();
  }, [api, id]);

  return state;
}

async function follow(
  api: OperatorApi,
  id: string,
  dispatch: (event: CallEvent) => void,
  stop: AbortSignal,
): Promise<void> {
  const tell = (event: CallEvent): void => {
    if (!stop.aborted) dispatch(event);
  };
  for (let failures = 0; !stop.aborted; ) {
    try {
      tell({ type: "report", report: await api.session(id, stop) });
      for await (const happening of api.events(id, stop)) {
        failures = 0;
        tell({ type: "happened", happening, at: Date.now() });
      }
      // The stream ends with the call, and with the service.
      const report = await api.session(id, stop);
      tell({ type: "report", report });
      if (!report.is_active) return;
    } catch (error) {
      if (error instanceof ApiError && error.kind === "not-found") {
        tell({ type: "not-found" });
        return;
      }
      tell({ type: "lost" });
    }
    failures += 1;
    await sleep(backoffMs(failures), stop);
  }
}
