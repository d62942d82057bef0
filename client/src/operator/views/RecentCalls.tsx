import { formatDuration, humanize } from "../../session/labels";
import type { SessionStatus } from "../messages";
import { formatWhen, reasonWords } from "../words";

export interface RecentCallsProps {
  sessions: SessionStatus[];
  now: number;
}

/** The last calls that are over. */
export function RecentCalls({ sessions, now }: RecentCallsProps) {
  return (
    <section className="op-panel op-recent" aria-labelledby="op-recent-title">
      <header className="op-panel__head">
        <h2 id="op-recent-title">Last calls</h2>
      </header>
      {sessions.length === 0 ? (
        <p className="op-empty">No call has ended yet.</p>
      ) : (
        <div className="op-scroll" tabIndex={0} role="group" aria-labelledby="op-recent-title">
          <table className="op-table">
            <thead>
              <tr>
                <th scope="col">Began</th>
                <th scope="col">User</th>
                <th scope="col" className="op-wide">
                  Bot
                </th>
                <th scope="col" className="op-number">
                  Time
                </th>
                <th scope="col">End</th>
              </tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <tr key={session.session_id} data-session={session.session_id}>
                  <td className="op-nowrap">{formatWhen(Date.parse(session.created_at), now)}</td>
                  <td>
                    <a className="op-open" href={`#/operator?call=${session.session_id}`}>
                      {session.user}
                    </a>
                    <span className="op-narrow">{humanize(session.bot)}</span>
                  </td>
                  <td className="op-wide">{humanize(session.bot)}</td>
                  <td className="op-number">{formatDuration(session.duration_seconds * 1000)}</td>
                  <td>{reasonWords(session.end_reason)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
