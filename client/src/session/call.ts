/** One call: a Pipecat client with its transport and its microphone, made anew each time. */
import {
  LogLevel,
  PipecatClient,
  RTVIEvent,
  TransportStartError,
  logger,
} from "@pipecat-ai/client-js";
import type { RTVIMessage, Transport } from "@pipecat-ai/client-js";
import { BrowserMediaManager } from "../media/mediaManager";
import type { MicrophoneError } from "../media/microphone";
import { VoiceTransport } from "../media/transport";
import type { VoiceLine } from "../media/transport";
import { chooseWay, giveUpWebRtc } from "../media/way";
import type { Way } from "../media/way";
import { serverUrl } from "./api";
import { BotSilentError } from "./errors";
import type { Mode } from "./types";
import { forgetSession, keepSession, keptSession } from "./kept";

// What goes wrong is told on the page.
logger.setLevel(import.meta.env.DEV ? LogLevel.WARN : LogLevel.NONE);

const START_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 45_000;
/** How long the server may take to hang up in its turn, once it has been told. */
const HANG_UP_MS = 500;

/**
 * PipecatClient that also tells of the messages it does not know, as `onUnknownMessage`, and can
 * take another transport before it connects.
 */
export class VoiceClient extends PipecatClient {
  onUnknownMessage: ((message: RTVIMessage) => void) | null = null;

  goBy(transport: Transport): void {
    this._transport = transport;
    transport.initialize(this._options, this.handleMessage.bind(this));
  }

  protected override handleMessage(message: RTVIMessage): void {
    // RTVI 2.x servers send it; client-js 1.13 has no name for it.
    if (message.type === "bot-interrupted") this.onUnknownMessage?.(message);
    else super.handleMessage(message);
  }
}

export interface CallOptions {
  /** Where the service is; "" for the server that served this page. */
  server: string;
  microphoneId: string | null;
  /** What lets into the service; null where nothing is needed. */
  key: string | null;
  /** Whether the call begins with a microphone; else it can be added. */
  withMicrophone: boolean;
  /** Whether the microphone is off to begin with. */
  muted: boolean;
  onMicrophoneLost: (error: MicrophoneError) => void;
  /** One that was lost is there again. */
  onMicrophoneBack: () => void;
}

export interface Call {
  client: VoiceClient;
  /**
   * Ask for the microphone, have the server start `agent`, and connect; where a session with it is
   * kept, connect to that. Resolves when the bot is ready, or when the call was hung up meanwhile.
   *
   * @throws MicrophoneError, StartBotError, TransportStartError, BotSilentError
   */
  open(agent: string, mode: Mode | null): Promise<void>;
  /**
   * Ask for a microphone in a call that began without one.
   *
   * @throws MicrophoneError
   */
  addMicrophone(): Promise<void>;
  /** Hang up, in whatever stage the call is, and release the microphone. */
  close(): Promise<void>;
  /** Leave without hanging up: the session may be come back to. */
  leave(): Promise<void>;
  /** Of a call that was up: whether the network carries nothing at the moment. */
  isUnstable(): boolean;
  /** Whether the session may be come back to, once its connection is lost. */
  canComeBack(): boolean;
  /** What the browser measures of the connection; null where it measures nothing. */
  stats(): Promise<RTCStatsReport | null>;
  /** The microphone that the call has now; null for the browser's default. */
  microphoneId(): string | null;
  /** The bot's voice, once the connection is up. A reconnect brings another track. */
  botTrack(): MediaStreamTrack | null;
}

export function createCall({ server, key, muted, ...options }: CallOptions): Call {
  let closed = false;
  let ready = false;
  const hungUp = (): boolean => closed;
  const media: BrowserMediaManager = new BrowserMediaManager({
    ...options,
    onMicrophoneReplaced: (track) => webrtc.replaceMicrophone(track),
  });
  const webrtc: VoiceTransport = new VoiceTransport({ mediaManager: media });
  const client = new VoiceClient({ transport: webrtc, enableMic: !muted, enableCam: false });
  let line: VoiceLine = webrtc;

  /** Most browsers never load the code of the other way. */
  async function take(way: Way): Promise<void> {
    if (way !== "websocket") return;
    const { SocketTransport } = await import("../media/socketTransport");
    if (!hungUp()) {
      line = new SocketTransport(media);
      client.goBy(line);
    }
  }

  async function disconnect(): Promise<void> {
    closed = true;
    if (!ready) line.abandon();
    try {
      await client.disconnect();
    } finally {
      await media.disconnect();
    }
  }

  async function connect(connection: unknown): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new BotSilentError()), READY_TIMEOUT_MS);
    });
    try {
      await Promise.race([client.connect(connection), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    client,

    async open(agent, mode) {
      await client.initDevices();
      if (hungUp()) return;
      const kept = keptSession();
      const again = kept?.agent === agent ? kept : null;
      const way = again?.way ?? (await chooseWay());
      await take(way);
      if (hungUp()) return;
      // What startBotAndConnect() does, with a chance to hang up in between.
      const connection =
        again?.connection ??
        toConnection(
          await client.startBot({
            endpoint: serverUrl("start", server),
            ...(key !== null && { headers: new Headers({ "X-API-Key": key }) }),
            requestData: { transport: way, body: { bot: agent, ...(mode && { mode }) } },
            timeout: START_TIMEOUT_MS,
          }),
          server,
        );
      if (hungUp()) return;
      keepSession({ agent, way, connection });
      try {
        await connect(connection);
      } catch (error) {
        if (way === "webrtc" && error instanceof TransportStartError) giveUpWebRtc();
        throw error;
      }
      ready = true;
    },

    async close() {
      forgetSession();
      if (ready && client.connected) {
        const gone = new Promise<void>((resolve) => client.once(RTVIEvent.Disconnected, resolve));
        client.disconnectBot();
        await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, HANG_UP_MS))]);
      }
      await disconnect();
    },

    leave: disconnect,
    addMicrophone: () => media.addMicrophone(),
    microphoneId: () => media.wantedId,

    isUnstable: () => line.isUnstable,
    canComeBack: () => line.canComeBack,
    stats: () => line.stats(),
    botTrack: () => line.botTrack,
  };
}

/** From what the server says of a session to where its client connects. */
function toConnection(started: unknown, server: string): unknown {
  const { sessionId, iceConfig } = started as { sessionId?: string; iceConfig?: unknown };
  if (sessionId === undefined) return started;
  const endpoint = serverUrl(`sessions/${sessionId}/api/offer`, server);
  return { webrtcRequestParams: { endpoint }, ...(iceConfig !== undefined && { iceConfig }) };
}
