import { beforeEach, describe, expect, it, vi } from "vitest";
import { forgetSession, keepSession, keptSession, wasReloaded } from "./kept";

const SESSION = {
  agent: "sales",
  way: "websocket" as const,
  connection: { wsUrl: "ws://localhost/ws-client/1.2" },
};

describe("the session of a tab", () => {
  beforeEach(() => sessionStorage.clear());

  it("is kept until it is forgotten", () => {
    expect(keptSession()).toBeNull();
    keepSession(SESSION);
    expect(keptSession()).toEqual(SESSION);
    forgetSession();
    expect(keptSession()).toBeNull();
  });

  it.each([
    "{",
    "7",
    "{}",
    JSON.stringify({ ...SESSION, way: "smoke" }),
    JSON.stringify({ ...SESSION, connection: null }),
    JSON.stringify({ ...SESSION, agent: 7 }),
  ])("is none if the storage holds %s", (stored) => {
    sessionStorage.setItem("parlante.session", stored);
    expect(keptSession()).toBeNull();
  });

  it("is of no use to a tab that was not loaded again, but copied", () => {
    const entries = vi.spyOn(performance, "getEntriesByType");
    for (const [type, expected] of [
      ["reload", true],
      ["navigate", false],
    ] as const) {
      entries.mockReturnValueOnce([{ type } as unknown as PerformanceEntry]);
      expect(wasReloaded()).toBe(expected);
    }
    expect(wasReloaded()).toBe(false);
  });
});
