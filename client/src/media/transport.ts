/** SmallWebRTCTransport with our media, and with what it keeps private and a call still needs. */
import type { Transport } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";

/** Private parts of the stock class, version 1.10. A test fails when they are renamed. */
interface Internals {
  pc: RTCPeerConnection | null;
  dc: RTCDataChannel | null;
  _connectFailed: ((reason?: unknown) => void) | null;
}

/** What a call needs of its transport beyond what Pipecat's client does. */
export interface VoiceLine extends Transport {
  /** The bot's voice, once the connection is up. */
  readonly botTrack: MediaStreamTrack | null;
  /** Of a connection that was up: whether it carries nothing at the moment. */
  readonly isUnstable: boolean;
  /** Whether the session may be come back to; not where another connection has it. */
  readonly canComeBack: boolean;
  /** What the browser measures of the connection; null where it measures nothing. */
  stats(): Promise<RTCStatsReport | null>;
  /** Stop before the connection is up, without an error that nobody waits for. */
  abandon(): void;
}

export class VoiceTransport extends SmallWebRTCTransport implements VoiceLine {
  private get internals(): Internals {
    return this as unknown as Internals;
  }

  /** Both peers make the audio transceiver first. */
  private get audio(): RTCRtpTransceiver | null {
    return this.internals.pc?.getTransceivers()[0] ?? null;
  }

  get isUnstable(): boolean {
    // The stock class makes another connection in the place of one that is broken.
    const { pc, dc } = this.internals;
    const isUp = pc?.iceConnectionState === "connected" || pc?.iceConnectionState === "completed";
    return !isUp || dc?.readyState !== "open";
  }

  /**
   * What the bot says. It is another track after a reconnect, of which the stock class does not
   * tell: it forgets the new one when the old one ends.
   */
  get botTrack(): MediaStreamTrack | null {
    return this.audio?.receiver.track ?? null;
  }

  readonly canComeBack = true;

  async stats(): Promise<RTCStatsReport | null> {
    return (await this.internals.pc?.getStats()) ?? null;
  }

  /** Send another microphone on the connection that is up; without one, nothing is to be done. */
  async replaceMicrophone(track: MediaStreamTrack): Promise<void> {
    await this.audio?.sender.replaceTrack(track);
  }

  abandon(): void {
    this.internals._connectFailed = null;
  }

  /**
   * Called by the stock class for a connection that a new one has replaced, and at the end.
   *
   * Its own version also stops the sender's track. After a reconnect that is the microphone that
   * the new connection sends, so the media manager stops it, at the end.
   */
  closePeerConnection(pc: RTCPeerConnection): void {
    pc.close();
  }
}
