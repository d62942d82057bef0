/** WebSocketTransport with our media, in order, and with an end that tells why. */
import { RTVIError } from "@pipecat-ai/client-js";
import { ProtobufFrameSerializer, WebSocketTransport } from "@pipecat-ai/websocket-transport";
import type { BrowserMediaManager } from "./mediaManager";
import { SocketSound } from "./socketSound";
import type { VoiceLine } from "./transport";

/** First byte of an interruption in Pipecat's protobuf; the stock class knows no such frame. */
const INTERRUPTION = 0x2a;
/** The server has hung up. */
const NORMAL = 1000;
/** The session is over, or another connection has it. */
const REFUSED = 4003;
const NOT_FOUND = 404;

/** Declared as a class with private parts, of which the transport uses none. */
type StockMediaManager = NonNullable<
  NonNullable<ConstructorParameters<typeof WebSocketTransport>[0]>["mediaManager"]
>;
type Incoming = Awaited<ReturnType<ProtobufFrameSerializer["deserialize"]>>;

/** Reads one message after the other, and tells of interruptions. */
export class OrderedSerializer extends ProtobufFrameSerializer {
  private before: Promise<unknown> = Promise.resolve();

  constructor(private readonly onInterruption: () => void) {
    super();
  }

  override deserialize(data: Blob): Promise<Incoming> {
    const read = this.before.then(() => this.read(data));
    this.before = read.catch(() => undefined);
    return read;
  }

  private async read(data: Blob): Promise<Incoming> {
    const [tag] = new Uint8Array(await data.slice(0, 1).arrayBuffer());
    if (tag !== INTERRUPTION) return super.deserialize(data);
    this.onInterruption();
    return { type: "audio", audio: new Int16Array() };
  }
}

export class SocketTransport extends WebSocketTransport implements VoiceLine {
  private readonly sound: SocketSound;
  private refusal: RTVIError | null = null;
  private taken = false;

  constructor(media: BrowserMediaManager) {
    const sound = new SocketSound();
    super({
      mediaManager: media as unknown as StockMediaManager,
      serializer: new OrderedSerializer(() => sound.interrupt()),
    });
    this.sound = sound;
    media.carryBy(sound);
  }

  get botTrack(): MediaStreamTrack | null {
    return this.sound.botTrack;
  }

  /** TCP delivers all or breaks, and tells a page nothing between. */
  readonly isUnstable = false;

  get canComeBack(): boolean {
    return !this.taken;
  }

  stats(): Promise<null> {
    return Promise.resolve(null);
  }

  override async _connect(parameters?: Parameters<WebSocketTransport["_connect"]>[0]) {
    await super._connect(parameters);
    if (this.refusal !== null) {
      this.state = "error";
      throw this.refusal;
    }
    // The stock class leaves a socket open that opens after the user has hung up.
    if (this._abortController?.signal.aborted) await this._disconnect();
  }

  override initializeWebsocket() {
    const socket = super.initializeWebsocket();
    // Its own listener takes every end for a fatal error of the bot.
    socket.removeAllListeners("close");
    socket.on("close", (code: number, reason: string) => this.onClosed(code, reason));
    return socket;
  }

  private onClosed(code: number, reason: string): void {
    if (this.state === "connecting") {
      const why = reason || `the connection was closed with ${code}`;
      this.refusal = new RTVIError(why, code === REFUSED ? NOT_FOUND : undefined);
      this._abortController?.abort();
    } else if (code === NORMAL) {
      this._callbacks.onBotDisconnected?.({ id: "bot", name: "", local: false });
    } else {
      this.taken = code === REFUSED;
      this.state = "error";
    }
  }

  abandon(): void {
    // A start that is given up ends without an error here.
  }
}
