/** The WebSocket of a session, which is made again where it is lost. */
import { parseMessage } from "./messages";
import type { ErrorMessage, ServerMessage } from "./messages";
import { toLineError } from "./problems";
import type { LineError } from "./problems";

const NORMAL = 1000;
const TRY_AGAIN_LATER = 1013;
const CONNECT_TIMEOUT_MS = 10_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
/** A connection that has been up for so long was one. */
const LASTING_MS = 3_000;
/** A lost connection is given up after this time. */
const GIVE_UP_MS = 60_000;
/** Sound of some ten seconds that a network cannot carry; what comes then is left out. */
const MOST_WAITING_BYTES = 500_000;

export interface LineListener {
  onOpen: () => void;
  onMessage: (message: ServerMessage) => void;
  /** The connection is gone, and is being made again. */
  onLost: () => void;
  /** The service has ended the call. */
  onEnded: () => void;
  onFailed: (error: LineError) => void;
}

export class Line {
  private socket: WebSocket | null = null;
  /** What the service said last was wrong. */
  private told: ErrorMessage | null = null;
  private openedAt: number | null = null;
  private wasOpen = false;
  private hasLasted = false;
  private lostAt: number | null = null;
  private waitMs = FIRST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** @param url holds the token that lets into the session, and does so again */
  constructor(
    private readonly url: string,
    private readonly listener: LineListener,
  ) {
    window.addEventListener("online", this.onOnline);
    this.connect();
  }

  /** Send a message; without a connection, or if the network is too slow, it is left out. */
  send(message: object): void {
    const { socket } = this;
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MOST_WAITING_BYTES) return;
    socket.send(JSON.stringify(message));
  }

  /** Hang up, with a last message where the protocol has one. */
  close(goodbye: object | null): void {
    if (goodbye) this.send(goodbye);
    const { socket } = this;
    this.release();
    socket?.close(NORMAL);
  }

  private connect(): void {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.told = null;
    this.timer = setTimeout(() => this.onClosed(socket, 1006, ""), CONNECT_TIMEOUT_MS);
    socket.addEventListener("open", () => this.onOpened(socket));
    socket.addEventListener("message", ({ data }) => this.onMessage(socket, data));
    socket.addEventListener("close", ({ code, reason }) => this.onClosed(socket, code, reason));
  }

  private onOpened(socket: WebSocket): void {
    if (socket !== this.socket) return;
    clearTimeout(this.timer);
    this.openedAt = Date.now();
    this.listener.onOpen();
  }

  private onMessage(socket: WebSocket, data: unknown): void {
    const message = socket === this.socket ? parseMessage(data) : null;
    if (!message) return;
    this.told = message.type === "error" ? message : null;
    this.listener.onMessage(message);
  }

  private onClosed(socket: WebSocket, code: number, reason: string): void {
    if (socket !== this.socket) return;
    clearTimeout(this.timer);
    this.socket = null;
    socket.close();
    const now = Date.now();
    this.learn(now);
    const error = toLineError(code, reason, this.told);
    const mayPass = code === TRY_AGAIN_LATER && this.hasLasted;
    if (code === NORMAL) this.end(() => this.listener.onEnded());
    else if (error && !mayPass) this.fail(error);
    else if (!this.wasOpen) this.fail({ kind: "connection-failed" });
    else if (this.lostAt !== null && now - this.lostAt > GIVE_UP_MS) {
      this.fail(error ?? { kind: "connection-lost" });
    } else this.connectAgain(now);
  }

  /** The service accepts a socket before it says that it does not want it. */
  private learn(now: number): void {
    const { openedAt } = this;
    this.openedAt = null;
    if (openedAt === null) return;
    this.wasOpen = true;
    if (now - openedAt < LASTING_MS) return;
    this.hasLasted = true;
    this.lostAt = null;
    this.waitMs = FIRST_WAIT_MS;
  }

  private connectAgain(now: number): void {
    this.lostAt ??= now;
    this.listener.onLost();
    this.timer = setTimeout(() => this.connect(), this.waitMs);
    this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
  }

  private readonly onOnline = (): void => {
    // Between two attempts.
    if (!this.socket) this.connect();
  };

  private fail(error: LineError): void {
    this.end(() => this.listener.onFailed(error));
  }

  private end(tell: () => void): void {
    this.release();
    tell();
  }

  private release(): void {
    this.socket = null;
    clearTimeout(this.timer);
    window.removeEventListener("online", this.onOnline);
  }
}
