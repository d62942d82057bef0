/** What operators ask the service for. */
import { serverUrl } from "../session/api";
import type { Happening, Overview, Refusal, SessionList, SessionReport } from "./messages";
import { readEvents } from "./sse";

/** Why the service does not do what it was asked for. */
export type ProblemKind =
  | "key-needed"
  | "key-refused"
  | "not-operator"
  | "not-found"
  /** Nothing answers, or only what stands before it. */
  | "gone"
  | "refused";

export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly kind: ProblemKind,
    message: string,
  ) {
    super(message);
  }
}

/** Longer than the database may take. */
const ANSWER_MS = 8000;
/** A stream has a sign of life every 15 s. */
const SILENCE_MS = 40_000;

const GATEWAY = [502, 504];

export interface OperatorApi {
  active: (signal: AbortSignal) => Promise<SessionList>;
  recent: (signal: AbortSignal) => Promise<SessionList>;
  overview: (signal: AbortSignal) => Promise<Overview>;
  session: (id: string, signal: AbortSignal) => Promise<SessionReport>;
  /** What has happened in a session, and then what happens, until the stream ends. */
  events: (id: string, signal: AbortSignal) => AsyncGenerator<Happening>;
  recording: (id: string, signal: AbortSignal) => Promise<Blob>;
  end: (id: string) => Promise<void>;
  drain: () => Promise<void>;
}

/** How many calls that are over are listed. */
const RECENT = 50;
const MOST_ACTIVE = 500;

/** Every method throws an `ApiError`. */
export function operatorApi(key: string | null): OperatorApi {
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers: HeadersInit = key === null ? {} : { "X-API-Key": key };
    const response = await fetch(serverUrl(path), { ...init, headers }).catch((error: unknown) => {
      throw new ApiError("gone", String(error));
    });
    if (!response.ok) throw await toError(response, key);
    return response;
  };

  const ask = async <T>(path: string, signal: AbortSignal): Promise<T> => {
    const either = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const response = await request(path, { signal: either });
    try {
      return (await response.json()) as T;
    } catch (error) {
      // It was cut off, or is the page of a gateway.
      throw new ApiError("gone", String(error));
    }
  };

  const ofSession = (id: string): string => `voice/realtime/session/${encodeURIComponent(id)}`;

  return {
    active: (signal) =>
      ask(`voice/realtime/sessions?everybody=true&active=true&limit=${MOST_ACTIVE}`, signal),
    recent: (signal) => ask(`voice/realtime/sessions?everybody=true&active=false&limit=${RECENT}`, signal),
    overview: (signal) => ask("overview", signal),
    session: (id, signal) => ask(ofSession(id), signal),
    async *events(id, signal) {
      const silence = new AbortController();
      const giveUp = (): void => silence.abort();
      let timer = setTimeout(giveUp, SILENCE_MS);
      try {
        const response = await request(`${ofSession(id)}/events`, {
          signal: AbortSignal.any([signal, silence.signal]),
        });
        if (!response.body) return;
        const onSign = (): void => {
          clearTimeout(timer);
          timer = setTimeout(giveUp, SILENCE_MS);
        };
        for await (const { event, data } of readEvents(response.body, onSign)) {
          yield { event, data: JSON.parse(data) as unknown } as Happening;
        }
      } catch (error) {
        throw error instanceof ApiError ? error : new ApiError("gone", String(error));
      } finally {
        clearTimeout(timer);
      }
    },
    recording: async (id, signal) => {
      const response = await request(`${ofSession(id)}/recording`, { signal });
      return response.blob();
    },
    end: async (id) => {
      await request(ofSession(id), { method: "DELETE", signal: AbortSignal.timeout(ANSWER_MS) });
    },
    drain: async () => {
      await request("drain", { method: "POST", signal: AbortSignal.timeout(ANSWER_MS) });
    },
  };
}

async function toError(response: Response, key: string | null): Promise<ApiError> {
  const words = await response
    .json()
    .then((body: Refusal) => body.error.message)
    .catch(() => `The server answered with ${response.status}.`);
  return new ApiError(kindOf(response.status, key), words);
}

export function kindOf(status: number, key: string | null): ProblemKind {
  if (status === 401) return key === null ? "key-needed" : "key-refused";
  if (status === 403) return "not-operator";
  if (status === 404) return "not-found";
  return GATEWAY.includes(status) ? "gone" : "refused";
}
