import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chooseWay } from "./way";

class FakePeerConnection extends EventTarget {
  static made: FakePeerConnection[] = [];
  createDataChannel = vi.fn();
  setLocalDescription = vi.fn(() => Promise.resolve());
  close = vi.fn();

  constructor() {
    super();
    FakePeerConnection.made.push(this);
  }

  find(candidate: string | null): void {
    const event = new Event("icecandidate");
    this.dispatchEvent(
      Object.assign(event, { candidate: candidate === null ? null : { candidate } }),
    );
  }
}

function made(): FakePeerConnection {
  const [connection] = FakePeerConnection.made;
  if (!connection) throw new Error("there is no connection");
  return connection;
}

describe("chooseWay", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakePeerConnection.made = [];
    vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
  });

  afterEach(() => {
    expect(FakePeerConnection.made.every(({ close }) => close.mock.calls.length === 1)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("takes WebRTC as soon as the browser finds an address", async () => {
    const way = chooseWay();
    made().find("candidate:1 1 udp 2113937151 192.168.1.2 50000 typ host");
    expect(await way).toBe("webrtc");
  });

  it("takes the WebSocket once WebRTC did not get through", async () => {
    vi.resetModules();
    const page = await import("./way");
    page.giveUpWebRtc();
    expect(await page.chooseWay()).toBe("websocket");
    expect(FakePeerConnection.made).toEqual([]);
  });

  it("takes the WebSocket when there is no address after half a second", async () => {
    const way = chooseWay();
    const told = vi.fn();
    void way.then(told);
    await vi.advanceTimersByTimeAsync(499);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(await way).toBe("websocket");
  });

  it.each([null, ""])("takes it at once when the browser ends the search (%o)", async (end) => {
    const way = chooseWay();
    made().find(end);
    expect(await way).toBe("websocket");
  });

  it("takes it where there is no WebRTC", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    expect(await chooseWay()).toBe("websocket");
  });

  it("takes it where WebRTC may not be used", async () => {
    const forbidden = vi.fn(function () {
      throw new DOMException("", "NotAllowedError");
    });
    vi.stubGlobal("RTCPeerConnection", forbidden);
    expect(await chooseWay()).toBe("websocket");
  });

  it("takes it when the search cannot begin", async () => {
    vi.stubGlobal(
      "RTCPeerConnection",
      class extends FakePeerConnection {
        override setLocalDescription = vi.fn(() => Promise.reject(new Error("no")));
      },
    );
    expect(await chooseWay()).toBe("websocket");
  });
});
