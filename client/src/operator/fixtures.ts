/** Messages of the service, for tests; tests/unit/test_client_fixtures.py holds the service to them. */
import events from "../../fixtures/operator/events.json";
import overview from "../../fixtures/operator/overview.json";
import refusal from "../../fixtures/operator/refusal.json";
import session from "../../fixtures/operator/session.json";
import sessions from "../../fixtures/operator/sessions.json";
import type { Happening, Overview, Refusal, SessionList, SessionReport } from "./messages";

/** A type as JSON files have it: of one string out of several, the compiler knows no more. */
type AsRead<T> = T extends string
  ? string
  : T extends readonly (infer Item)[]
    ? AsRead<Item>[]
    : T extends object
      ? { [Name in keyof T]: AsRead<T[Name]> }
      : T;

function read<T>(body: AsRead<T>): T {
  return body as T;
}

export const SESSIONS = read<SessionList>(sessions);
export const SESSION = read<SessionReport>(session);
export const OVERVIEW = read<Overview>(overview);
export const REFUSAL = read<Refusal>(refusal);
/** A whole call, as it is told while it goes on. */
export const EVENTS = events as unknown as Happening[];
