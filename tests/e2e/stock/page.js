// Pipecat's stock client and transport, with nothing of ours. The default media manager loads code
// from Daily's network; WavMediaManager comes with the package.
import { PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

const service = new URLSearchParams(location.search).get("service");
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

const client = new PipecatClient({
  transport: new SmallWebRTCTransport({ mediaManager: new WavMediaManager() }),
  enableMic: true,
});
client.on(RTVIEvent.TransportStateChanged, (state) => show("state", state));
client.on(RTVIEvent.Error, (message) => show("error", JSON.stringify(message)));
client.on(RTVIEvent.TrackStarted, (track, participant) => {
  if (participant?.local) return;
  document.querySelector("audio").srcObject = new MediaStream([track]);
});

document.getElementById("connect").onclick = () =>
  client
    .startBotAndConnect({ endpoint: `${service}/start`, requestData: { transport: "webrtc" } })
    .catch((error) => show("error", String(error)));
document.getElementById("disconnect").onclick = () => client.disconnect();
