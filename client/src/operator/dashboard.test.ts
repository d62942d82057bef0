import { describe, expect, it } from "vitest";
import { conditionOf, initialDashboard, reduce } from "./dashboard";
import type { DashboardEvent, DashboardState } from "./dashboard";
import { OVERVIEW, SESSIONS } from "./fixtures";

const T0 = 1_000_000;
const { sessions } = SESSIONS;
const [ada] = sessions;
const ACTIVE: DashboardEvent = {
  type: "active",
  sessions: sessions.filter((session) => session.is_active),
  at: T0,
};
const FULL: DashboardEvent = { type: "overview", overview: OVERVIEW, recent: sessions };
const DRAINING: DashboardEvent = { ...FULL, overview: { ...OVERVIEW, is_draining: true } };
const GONE: DashboardEvent = { type: "failed", kind: "gone", message: "", retryAt: T0 + 1000 };

function after(...events: DashboardEvent[]): DashboardState {
  return events.reduce(reduce, initialDashboard);
}

describe("the dashboard", () => {
  it("has the sessions that go on, and those that have ended apart", () => {
    const state = after(ACTIVE, FULL);
    expect(state.access).toBe("granted");
    expect(state.active.map(({ user }) => user)).toEqual(["ada", "jwt:42", "phone"]);
    expect(state.recent.map(({ user }) => user)).toEqual(["eve"]);
  });

  it.each(["key-needed", "key-refused", "not-operator"] as const)(
    "shows nothing to whoever may not see it: %s",
    (kind) => {
      const state = after(ACTIVE, FULL, { type: "failed", kind, message: "", retryAt: 0 });
      expect(state).toEqual({ ...initialDashboard, access: kind });
      expect(conditionOf(state)).toBe("closed");
    },
  );

  it("keeps what it knew while the service does not answer", () => {
    const state = after(ACTIVE, FULL, GONE);
    expect(state.active).toHaveLength(3);
    expect(state.lost).toEqual({ retryAt: T0 + 1000 });
    expect(reduce(state, ACTIVE).lost).toBeNull();
  });
});

describe("a session that is ended by the operator", () => {
  const id = ada?.session_id ?? "";

  it("is marked until it is gone", () => {
    const state = after(ACTIVE, { type: "ending", id });
    expect(state.ending).toEqual([id]);
    expect(reduce(state, ACTIVE).ending, "the list may be older").toEqual([id]);
    const ended = reduce(state, { type: "ended", id });
    expect(ended.ending).toEqual([]);
    expect(ended.active.map(({ user }) => user)).not.toContain("ada");
  });

  it("is as before if that failed, and the service's words are shown", () => {
    const state = after(ACTIVE, { type: "ending", id }, { type: "not-done", id, message: "No." });
    expect([state.ending, state.problem]).toEqual([[], "No."]);
    expect(reduce(state, { type: "dismiss-problem" }).problem).toBeNull();
  });
});

describe("the condition of the service", () => {
  it("is that it runs, when it has answered", () => {
    expect(conditionOf(initialDashboard)).toBe("asking");
    expect(conditionOf(after(ACTIVE, FULL))).toBe("running");
    expect(conditionOf(after(ACTIVE, GONE))).toBe("lost");
  });

  it("is that it drains from when it was told to until it has stopped", () => {
    const asked = after(ACTIVE, FULL, { type: "drain-asked" });
    expect(conditionOf(asked)).toBe("draining");
    expect(conditionOf(reduce(asked, ACTIVE))).toBe("draining");
    const drains = reduce(asked, DRAINING);
    expect(conditionOf(drains)).toBe("draining");
    expect(conditionOf(reduce(drains, GONE))).toBe("stopped");
  });

  it("is that it runs again when another has taken its place", () => {
    const stopped = after(ACTIVE, FULL, { type: "drain-asked" }, DRAINING, GONE);
    expect(conditionOf([ACTIVE, FULL].reduce(reduce, stopped))).toBe("running");
  });

  it("is that it runs if it could not be told to drain", () => {
    const state = after(
      ACTIVE,
      FULL,
      { type: "drain-asked" },
      { type: "not-done", id: null, message: "No." },
    );
    expect(conditionOf(state)).toBe("running");
  });
});
