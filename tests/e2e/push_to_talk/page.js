// The smallest client of /ws/voice-agent: MediaRecorder sends, MediaSource plays. Nothing of ours.
const query = new URLSearchParams(location.search);
const talk = document.getElementById("talk");
const audio = document.querySelector("audio");
const show = (text) => {
  document.getElementById("state").textContent = text;
};

async function address() {
  const response = await fetch(`${query.get("service")}/start`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ transport: "voice-agent", body: { bot: query.get("bot") } }),
  });
  return (await response.json()).wsUrl;
}

const socket = new WebSocket(query.get("socket") ?? (await address()));
const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });

const source = new MediaSource();
const pieces = [];
let buffer = null;
audio.src = URL.createObjectURL(source);
source.onsourceopen = () => {
  buffer = source.addSourceBuffer("audio/mpeg");
  buffer.mode = "sequence";
  buffer.onupdateend = play;
  play();
};

function play() {
  if (buffer && !buffer.updating && pieces.length) buffer.appendBuffer(pieces.shift());
}

function base64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

let recorder = null;
talk.onpointerdown = () => {
  let before = Promise.resolve();
  recorder = new MediaRecorder(microphone, {
    mimeType: "audio/webm;codecs=opus",
    audioBitsPerSecond: 32_000,
  });
  recorder.ondataavailable = ({ data, target }) => {
    const isFinal = target.state === "inactive";
    before = before.then(async () => {
      const sound = base64(new Uint8Array(await data.arrayBuffer()));
      socket.send(JSON.stringify({ type: "audio_chunk", data: sound, is_final: isFinal }));
    });
  };
  recorder.start(250);
};
talk.onpointerup = () => recorder.stop();

socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "audio_response") {
    pieces.push(Uint8Array.from(atob(message.data), (char) => char.charCodeAt(0)));
    return play();
  }
  if (message.type === "status_update") show(message.status);
  if (message.type === "connection_established") talk.disabled = false;
  const line = document.createElement("li");
  line.textContent = JSON.stringify(message);
  document.getElementById("told").append(line);
};
socket.onclose = ({ code }) => show(`closed with ${code}`);
window.endSession = () => socket.send(JSON.stringify({ type: "end_session" }));
