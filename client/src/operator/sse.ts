/** Server-sent events over `fetch`: the browser's own `EventSource` cannot send a key. */

export interface SentEvent {
  event: string;
  data: string;
}

/**
 * Take the events that are complete off a stream's text; what is left comes back with them.
 *
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function takeEvents(text: string): [SentEvent[], string] {
  const blocks = text.replace(/\r\n/g, "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  return [blocks.map(parseBlock).filter((event) => event !== null), rest];
}

function parseBlock(block: string): SentEvent | null {
  const fields = block
    .split("\n")
    .map((line) => /^(event|data): ?(.*)$/.exec(line))
    .filter((found) => found !== null);
  const data = fields.filter(([, name]) => name === "data").map(([, , value = ""]) => value);
  const event = fields.find(([, name]) => name === "event")?.[2] ?? "message";
  return data.length > 0 ? { event, data: data.join("\n") } : null;
}

/**
 * Read the events of an answer until it ends.
 *
 * @param onSign Called with every sign of life, comments included.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onSign: () => void,
): AsyncGenerator<SentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onSign();
      let events: SentEvent[];
      [events, rest] = takeEvents(rest + decoder.decode(value, { stream: true }));
      yield* events;
    }
  } finally {
    // Whoever stops reading wants no more of it.
    await reader.cancel().catch(() => undefined);
  }
}
