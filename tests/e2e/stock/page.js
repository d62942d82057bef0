// Pipecat's stock client and transports, with nothing of ours. The default media manager loads code
// from Daily's network; WavMediaManager comes with the packages.
import { PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";
import * as socket from "@pipecat-ai/websocket-transport";

const query = new URLSearchParams(location.search);
const service = query.get("service");
const transport = query.get("transport") ?? "webrtc";
const audio = document.querySelector("audio");
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

// Over a socket, sound goes straight to the loudspeaker: make a track of it as well, for the test.
const { connect } = AudioNode.prototype;
AudioNode.prototype.connect = function (target, ...rest) {
  if (transport === "websocket" && target instanceof AudioDestinationNode) {
    const track = new MediaStreamAudioDestinationNode(target.context);
    connect.call(this, track);
    audio.muted = true;
    audio.srcObject = track.stream;
  }
  return connect.call(this, target, ...rest);
};

const client = new PipecatClient({
  transport:
    transport === "webrtc"
      ? new SmallWebRTCTransport({ mediaManager: new WavMediaManager() })
      : new socket.WebSocketTransport({ mediaManager: new socket.WavMediaManager(512, 16_000) }),
  enableMic: true,
});
client.on(RTVIEvent.TransportStateChanged, (state) => show("state", state));
client.on(RTVIEvent.Error, (message) => show("error", JSON.stringify(message)));
client.on(RTVIEvent.TrackStarted, (track, participant) => {
  if (participant?.local) return;
  audio.srcObject = new MediaStream([track]);
});

document.getElementById("connect").onclick = () =>
  client
    .startBotAndConnect({ endpoint: `${service}/start`, requestData: { transport } })
    .catch((error) => show("error", String(error)));
document.getElementById("disconnect").onclick = () => client.disconnect();
