import "../styles/protocolLinks.css";

/** The way to the pages of the JSON protocols. */
export function ProtocolLinks() {
  return (
    <nav className="protocol-links" aria-label="Protocols">
      Protocols: <a href="#/push-to-talk">push to talk</a>, <a href="#/sandwich">sandwich</a>,{" "}
      <a href="#/realtime">realtime</a>
    </nav>
  );
}
