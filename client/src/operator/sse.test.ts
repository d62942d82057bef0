import { describe, expect, it } from "vitest";
import { readEvents, takeEvents } from "./sse";

describe("events of a stream", () => {
  it("are taken off when they are complete", () => {
    const [events, rest] = takeEvents('event: state\ndata: {"a":1}\n\nevent: tu');
    expect(events).toEqual([{ event: "state", data: '{"a":1}' }]);
    expect(rest).toBe("event: tu");
  });

  it("may have several lines of data, none of a kind, and comments between them", () => {
    const [events] = takeEvents(": ping\n\ndata: one\ndata:two\nid: 5\n\n");
    expect(events).toEqual([{ event: "message", data: "one\ntwo" }]);
  });

  it("may be written with the line ends of HTTP", () => {
    const [events] = takeEvents("event: left\r\ndata: {}\r\n\r\n");
    expect(events).toEqual([{ event: "left", data: "{}" }]);
  });

  it("are read across pieces that cut a letter in two", async () => {
    const bytes = new TextEncoder().encode("event: turn\ndata: Grüße\n\n: ping\n\n");
    const cut = bytes.indexOf(0xc3) + 1;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, cut));
        controller.enqueue(bytes.slice(cut));
        controller.close();
      },
    });
    let signs = 0;
    const read = [];
    for await (const event of readEvents(body, () => signs++)) read.push(event);
    expect(read).toEqual([{ event: "turn", data: "Grüße" }]);
    expect(signs).toBe(2);
  });
});
