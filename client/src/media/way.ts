/** Which way the sound goes: WebRTC where it can work, else messages over a WebSocket. */

export type Way = "webrtc" | "websocket";

/** How long the browser may look for the first address of its own. It takes milliseconds. */
const LOOK_MS = 500;

/** WebRTC was tried from this page, and did not get through. */
let isBlocked = false;

/** Go another way from now on: what lets no WebRTC through, such as a firewall, does not change. */
export function giveUpWebRtc(): void {
  isBlocked = true;
}

/**
 * Try whether the browser finds an address to be reached at. Without a network it finds none,
 * not even for a server on the same machine, and WebRTC would wait for ever.
 *
 * To be asked once the microphone is allowed: before, addresses are hidden, which takes longer.
 */
export async function chooseWay(): Promise<Way> {
  if (isBlocked || typeof RTCPeerConnection === "undefined") return "websocket";
  let connection: RTCPeerConnection | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    connection = new RTCPeerConnection();
    const found = firstCandidate(connection);
    const nothing = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), LOOK_MS);
    });
    connection.createDataChannel("");
    await connection.setLocalDescription();
    // An empty candidate, or none, ends the list.
    return (await Promise.race([found, nothing]))?.candidate ? "webrtc" : "websocket";
  } catch {
    // WebRTC is there and may not be used: a policy, or an extension.
    return "websocket";
  } finally {
    clearTimeout(timer);
    connection?.close();
  }
}

function firstCandidate(connection: RTCPeerConnection): Promise<RTCIceCandidate | null> {
  return new Promise((resolve) => {
    connection.addEventListener("icecandidate", ({ candidate }) => resolve(candidate), {
      once: true,
    });
  });
}
