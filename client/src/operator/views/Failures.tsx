import { humanize } from "../../session/labels";
import type { ServiceFailures } from "../messages";
import { formatClock, serviceWords } from "../words";

export interface FailuresProps {
  failures: ServiceFailures[];
}

/** Services that did not do their work within the last hour. */
export function Failures({ failures }: FailuresProps) {
  return (
    <section className="op-panel op-failures" aria-labelledby="op-failures-title">
      <header className="op-panel__head">
        <h2 id="op-failures-title">Failures by service</h2>
        <span className="op-count">last hour</span>
      </header>
      {failures.length === 0 ? (
        <p className="op-empty">No service has failed.</p>
      ) : (
        <table className="op-table">
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Why</th>
              <th scope="col" className="op-number">
                Count
              </th>
              <th scope="col" className="op-number">
                Last
              </th>
            </tr>
          </thead>
          <tbody>
            {failures.map(({ stage, provider, reason, count, last_at: last }) => (
              <tr key={`${stage} ${provider} ${reason}`}>
                <td>{serviceWords(stage, provider)}</td>
                <td>{humanize(reason)}</td>
                <td className="op-number">{count}</td>
                <td className="op-number op-nowrap">{formatClock(Date.parse(last))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
