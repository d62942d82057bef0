import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "./api";
import type { OperatorApi, ProblemKind } from "./api";
import { backoffMs } from "./backoff";
import { EVENTS, OVERVIEW, SESSION, SESSIONS } from "./fixtures";
import type { Happening } from "./messages";
import { useCall } from "./useCall";
import { useDashboard } from "./useDashboard";

/** A service that answers, until it is told otherwise. */
class Service {
  problem: ProblemKind | null = null;
  asked: string[] = [];
  report = { ...SESSION, is_active: true };
  streams: Happening[][] = [];

  readonly api: OperatorApi = {
    active: () => this.answer("active", SESSIONS),
    recent: () => this.answer("recent", SESSIONS),
    overview: () => this.answer("overview", OVERVIEW),
    session: () => this.answer("session", this.report),
    events: () => this.stream(),
    recording: () => this.answer("recording", new Blob()),
    end: (id) => this.answer(`end ${id}`, undefined),
    drain: () => this.answer("drain", undefined),
  };

  private answer<T>(what: string, body: T): Promise<T> {
    this.asked.push(what);
    return this.problem
      ? Promise.reject(new ApiError(this.problem, "in its words"))
      : Promise.resolve(body);
  }

  private async *stream(): AsyncGenerator<Happening> {
    await this.answer("events", null);
    yield* this.streams.shift() ?? [];
  }

  times(what: string): number {
    return this.asked.filter((it) => it === what).length;
  }
}

let service: Service;

beforeEach(() => {
  vi.useFakeTimers();
  service = new Service();
});

afterEach(() => vi.useRealTimers());

async function pass(ms: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

describe("the dashboard", () => {
  it("asks what goes on by the second, and for the rest now and then", async () => {
    const { result, unmount } = renderHook(() => useDashboard(service.api));
    await pass(9500);
    expect([service.times("active"), service.times("overview")]).toEqual([10, 2]);
    expect(result.current.state.active).toHaveLength(SESSIONS.sessions.length);
    unmount();
    await pass(5000);
    expect(service.times("active")).toBe(10);
  });

  it("asks less and less often while nothing answers, at once when told to, and goes on", async () => {
    const { result } = renderHook(() => useDashboard(service.api));
    await pass(0);
    service.problem = "gone";
    await pass(1000);
    expect(result.current.state.lost).not.toBeNull();
    await pass(7000);
    expect(service.times("active"), "after 1, 2 and 4 s").toBe(5);
    act(() => result.current.retry());
    await pass(0);
    expect(service.times("active")).toBe(6);
    service.problem = null;
    act(() => result.current.retry());
    await pass(0);
    expect(result.current.state.lost).toBeNull();
    expect(service.times("overview"), "it may be another service").toBe(2);
  });

  it("asks no more without a key that is good for it", async () => {
    service.problem = "not-operator";
    const { result } = renderHook(() => useDashboard(service.api));
    await pass(60_000);
    expect(service.asked).toEqual(["active"]);
    expect(result.current.state.access).toBe("not-operator");
  });

  it("asks nothing while nobody looks", async () => {
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    renderHook(() => useDashboard(service.api));
    await pass(5000);
    expect(service.asked).toEqual([]);
    hidden.mockReturnValue(false);
    document.dispatchEvent(new Event("visibilitychange"));
    await pass(0);
    expect(service.times("active")).toBe(1);
  });

  it("ends a session and drains, and tells where that is refused", async () => {
    const { result } = renderHook(() => useDashboard(service.api));
    await pass(0);
    act(() => result.current.endSession("s1"));
    act(() => result.current.drain());
    await pass(0);
    expect(service.asked).toEqual(expect.arrayContaining(["end s1", "drain"]));
    expect(result.current.state.drainAsked).toBe(true);
    service.problem = "refused";
    act(() => result.current.drain());
    await pass(0);
    expect(result.current.state.problem).toBe("in its words");
    expect(result.current.state.drainAsked).toBe(false);
  });

  it("waits longer and longer, up to a bound", () => {
    expect([1, 2, 3, 4, 9].map(backoffMs)).toEqual([1000, 2000, 4000, 8000, 15_000]);
  });
});

describe("a call", () => {
  it("is followed to its end", async () => {
    service.streams = [EVENTS];
    const { result } = renderHook(() => useCall(service.api, "s1"));
    service.report = SESSION;
    await pass(0);
    expect(result.current.following).toBe("over");
    expect(result.current.entries).toHaveLength(9);
    await pass(60_000);
    expect(service.times("events")).toBe(1);
  });

  it("is followed again when its stream was cut off", async () => {
    service.streams = [EVENTS.slice(0, 4), EVENTS];
    const { result } = renderHook(() => useCall(service.api, "s1"));
    await pass(0);
    expect(result.current.entries).toHaveLength(4);
    service.problem = "gone";
    await pass(1000);
    expect(result.current.following).toBe("lost");
    service.problem = null;
    await pass(2000);
    expect(result.current.entries).toHaveLength(9);
    expect(result.current.following).toBe("over");
  });

  it("that there never was is looked for once", async () => {
    service.problem = "not-found";
    const { result } = renderHook(() => useCall(service.api, "s1"));
    await pass(60_000);
    expect(result.current.following).toBe("not-found");
    expect(service.asked).toEqual(["session"]);
  });
});
