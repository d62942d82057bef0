/** The way to all other pages. */
export function HomeLinks() {
  return (
    <nav className="home__links" aria-label="More">
      <a href="#/calls">Past calls</a> <a href="#/operator">For operators</a>
      <span>
        Protocols: <a href="#/push-to-talk">push to talk</a>, <a href="#/sandwich">sandwich</a>,{" "}
        <a href="#/realtime">realtime</a>
      </span>
    </nav>
  );
}
