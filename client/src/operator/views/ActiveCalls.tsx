import { formatDuration, humanize } from "../../session/labels";
import type { SessionStatus } from "../messages";
import { STATE_WORDS, formatMs } from "../words";

export interface ActiveCallsProps {
  sessions: SessionStatus[];
  /** Those that are being ended. */
  ending: string[];
  onEnd: (session: SessionStatus) => void;
}

/** The calls that go on. */
export function ActiveCalls({ sessions, ending, onEnd }: ActiveCallsProps) {
  return (
    <section className="op-panel op-calls" aria-labelledby="op-calls-title">
      <header className="op-panel__head">
        <h2 id="op-calls-title">Calls now</h2>
        <span className="op-count">{sessions.length}</span>
      </header>
      {sessions.length === 0 ? (
        <p className="op-empty">Nobody is calling.</p>
      ) : (
        <div className="op-scroll" tabIndex={0} role="group" aria-labelledby="op-calls-title">
          <table className="op-table">
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">User</th>
                <th scope="col" className="op-wide">
                  Bot
                </th>
                <th scope="col" className="op-wide">
                  By
                </th>
                <th scope="col" className="op-number">
                  Time
                </th>
                <th scope="col" className="op-number op-roomy">
                  Answer
                </th>
                <th scope="col">
                  <span className="visually-hidden">End it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <Row
                  key={session.session_id}
                  session={session}
                  ending={ending.includes(session.session_id)}
                  onEnd={() => onEnd(session)}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface RowProps {
  session: SessionStatus;
  ending: boolean;
  onEnd: () => void;
}

function Row({ session, ending, onEnd }: RowProps) {
  const { user, bot, transport, agent_state: state, last_wait_ms: wait } = session;
  return (
    <tr data-session={session.session_id}>
      <td>
        <span className="op-state" data-state={ending ? "disconnecting" : state}>
          {ending ? "Ending" : STATE_WORDS[state]}
        </span>
      </td>
      <td>
        <a className="op-open" href={`#/operator?call=${session.session_id}`}>
          {user}
        </a>
        <span className="op-narrow">
          {humanize(bot)}
        </span>
      </td>
      <td className="op-wide">{humanize(bot)}</td>
      <td className="op-wide">{transport}</td>
      <td className="op-number">{formatDuration(session.duration_seconds * 1000)}</td>
      <td className="op-number op-roomy">{wait === null ? "–" : formatMs(wait)}</td>
      <td className="op-number">
        <button
          type="button"
          className="op-button op-button--row"
          aria-label={`End the call of ${user}`}
          disabled={ending}
          onClick={onEnd}
        >
          End
        </button>
      </td>
    </tr>
  );
}
