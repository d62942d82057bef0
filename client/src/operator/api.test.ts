import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, kindOf, operatorApi } from "./api";
import { EVENTS, OVERVIEW, REFUSAL } from "./fixtures";

const stop = new AbortController().signal;

function answers(body: BodyInit, status = 200) {
  const asked = vi.fn<(url: string, init: RequestInit) => Promise<Response>>(() =>
    Promise.resolve(new Response(body, { status })),
  );
  vi.stubGlobal("fetch", asked);
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

describe("what operators ask for", () => {
  it("is asked with the key, if there is one", async () => {
    const asked = answers(JSON.stringify(OVERVIEW));
    expect(await operatorApi("parlante_1_2").overview(stop)).toEqual(OVERVIEW);
    await operatorApi(null).overview(stop);
    expect(asked.mock.calls.map(([, init]) => init.headers)).toEqual([
      { "X-API-Key": "parlante_1_2" },
      {},
    ]);
  });

  it("may be refused, in the words of the service", async () => {
    answers(JSON.stringify(REFUSAL), 403);
    const refused = await operatorApi("k").drain().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ kind: "not-operator", message: REFUSAL.error.message });
  });

  it.each([
    [401, null, "key-needed"],
    [401, "k", "key-refused"],
    [404, "k", "not-found"],
    [502, "k", "gone"],
    [503, "k", "refused"],
  ])("%d with the key %j is told apart: %s", (status, key, kind) => {
    expect(kindOf(status, key)).toBe(kind);
  });

  it("may find nobody, or the page of a gateway", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(operatorApi(null).overview(stop)).rejects.toMatchObject({ kind: "gone" });
    answers("<html>");
    await expect(operatorApi(null).overview(stop)).rejects.toMatchObject({ kind: "gone" });
  });

  it("are the events of a session, as they come", async () => {
    const text = EVENTS.map(
      ({ event, data }) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
    );
    answers(text.join(""));
    const read = [];
    for await (const happening of operatorApi(null).events("s1", stop)) read.push(happening);
    expect(read).toEqual(EVENTS);
  });
});
