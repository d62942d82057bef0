/** Past calls of whoever asks: which there were, and what was said. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { loadPreferences, savePreferences } from "../media/preferences";
import type { TranscriptEntry } from "../session/types";
import { Calls } from "./Calls";
import { KeyError, fetchCalls, fetchTranscript } from "./records";
import type { CallRecord } from "./records";

export type Loaded<T> =
  | { status: "loading" }
  | { status: "ready"; value: T }
  | { status: "failed" | "key-needed" | "key-refused" };

type Load<T> = (signal: AbortSignal) => Promise<T>;

/** What a request gives; it is made again for every other one, and for every attempt. */
function useLoaded<T>(load: Load<T> | null, hasKey: boolean, attempt: number): Loaded<T> {
  const [answer, setAnswer] = useState<[Load<T>, number, Loaded<T>] | null>(null);

  useEffect(() => {
    if (!load) return;
    const abort = new AbortController();
    load(abort.signal).then(
      (value) => setAnswer([load, attempt, { status: "ready", value }]),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const refused = hasKey ? "key-refused" : "key-needed";
        setAnswer([load, attempt, { status: error instanceof KeyError ? refused : "failed" }]);
      },
    );
    return () => abort.abort();
  }, [load, hasKey, attempt]);

  const [of, at, loaded] = answer ?? [];
  return loaded && of === load && at === attempt ? loaded : { status: "loading" };
}

export default function CallsPage() {
  const [preferences] = useState(loadPreferences);
  const [key, setKey] = useState(preferences.key);
  const [attempt, setAttempt] = useState(0);
  const [selected, setSelected] = useState<CallRecord | null>(null);
  const id = selected?.id ?? null;

  const list = useCallback((signal: AbortSignal) => fetchCalls(key, signal), [key]);
  const read = useMemo(
    () => id === null ? null : (signal: AbortSignal) => fetchTranscript(id, key, signal),
    [id, key],
  );
  const calls = useLoaded<CallRecord[]>(list, key !== null, attempt);
  const transcript = useLoaded<TranscriptEntry[]>(read, key !== null, attempt);

  return (
    <Calls
      calls={calls}
      selected={selected}
      transcript={transcript}
      onSelect={setSelected}
      onKey={(given) => {
        savePreferences({ ...preferences, key: given });
        setKey(given);
      }}
      onRetry={() => setAttempt((count) => count + 1)}
    />
  );
}
