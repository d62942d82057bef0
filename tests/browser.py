"""Chromium on a call: a microphone that tests fill, and ears in the page."""

import base64
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from bots.loopback import is_alone
from runner.clients.client import Pcm
from runner.talk import read_audio, write_audio

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No window, and no word to the network."""

FAKE_DEVICES = "--use-fake-device-for-media-stream"
ALLOW_DEVICES = "--use-fake-ui-for-media-stream"
NO_DEVICES = "--disable-audio-input"
LOOPBACK = "--allow-loopback-in-peer-connection"
"""What WebRTC needs to be tested on a machine without a network; users have no such flag."""

PAUSE_MS = 700
"""Silence after which the bot has said what it had to say."""

LATE_SECS = 10
"""How much later than it is sent the bot may be heard, on a machine that is busy."""

LOUD = 0.005
"""Root mean square of samples from -1 to 1: a voice is above, a silent line below."""

EARS = """
(() => {
  const ears = { levels: [], states: [], messages: [], sockets: [] };
  window.__ears = ears;

  function tell(message, at) {
    if (message.label === "rtvi-ai") ears.messages.push({ at, ...message });
  }

  let hearing = null;

  // A call that has reconnected has two tracks, of which one is silent: the page plays both.
  function listen(track) {
    hearing ??= measure();
    const { context, analyser } = hearing;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  }

  function measure() {
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    const samples = new Float32Array(analyser.fftSize);
    ears.record = () => {
      const heard = context.createMediaStreamDestination();
      analyser.connect(heard);
      record(heard.stream);
    };
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      ears.levels.push([performance.now(), Math.sqrt(power)]);
    }, 40);
    return { context, analyser };
  }

  function record(stream) {
    const recorder = new MediaRecorder(stream);
    const whole = new Promise((resolve) => {
      recorder.ondataavailable = ({ data }) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.split(",")[1]);
        reader.readAsDataURL(data);
      };
    });
    recorder.start();
    ears.recorded = () => {
      recorder.stop();
      return whole;
    };
  }

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      this.addEventListener("track", ({ track }) => {
        if (track.kind === "audio") listen(track);
      });
    }

    createDataChannel(...args) {
      const channel = super.createDataChannel(...args);
      channel.addEventListener("message", ({ data }) => tell(JSON.parse(data), performance.now()));
      return channel;
    }
  };

  // Over a WebSocket, messages are protobuf, whose field of text begins with 0x22, and what the
  // bot says is a track that the page makes.
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      ears.sockets.push(this.url);
      let before = Promise.resolve();
      this.addEventListener("message", ({ data }) => {
        // JSON is of other protocols.
        if (typeof data === "string") return;
        const at = performance.now();
        const text = data.text();
        before = before.then(async () => {
          const json = await text;
          if (json[0] === '"') tell(JSON.parse(json.slice(json.indexOf('{"'))), at);
        });
      });
    }
  };
  const { srcObject } = Object.getOwnPropertyDescriptors(HTMLMediaElement.prototype);
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    ...srcObject,
    set(stream) {
      srcObject.set.call(this, stream);
      if (stream && ears.sockets.length) stream.getAudioTracks().forEach(listen);
    },
  });

  const seen = (state) => {
    if (state && state !== ears.states.at(-1)) ears.states.push(state);
  };
  new MutationObserver((records) => {
    const changes = records.filter((record) => record.type === "attributes");
    changes.slice(1).forEach((record) => seen(record.oldValue));
    seen(document.querySelector("[data-voice-state]")?.dataset.voiceState);
  }).observe(document, {
    subtree: true,
    childList: true,
    attributeFilter: ["data-voice-state"],
    attributeOldValue: true,
  });
})();
"""
"""Keeps how loud the bot is, the states that the page shows, and what the server tells."""

MOUTH = """
(() => {
  let context, microphone;
  navigator.mediaDevices.getUserMedia = async () => {
    context = new AudioContext({ sampleRate: 48000 });
    microphone = context.createMediaStreamDestination();
    // Without a source, the context sleeps and no frame of sound is sent at all.
    const silence = new ConstantSourceNode(context, { offset: 0 });
    silence.connect(microphone);
    silence.start();
    return microphone.stream;
  };
  window.__say = async (wav) => {
    const bytes = Uint8Array.from(atob(wav), (char) => char.charCodeAt(0));
    const buffer = await context.decodeAudioData(bytes.buffer);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(microphone);
    const from = performance.now();
    source.start();
    await new Promise((resolve) => { source.onended = resolve; });
    return [from, performance.now()];
  };
})();
"""
"""A microphone that is silent but for what `say` is given."""

Microphone = Literal["fake", "spoken", "denied", "missing"]


@dataclass(frozen=True)
class Span:
    """From when to when, in milliseconds of the page's clock."""

    from_ms: float
    to_ms: float


@dataclass
class Tab:
    """A page, and everything about it that should not be.

    Attributes:
        page: It.
        problems: Errors in its console, and requests that failed or left its origin.
        origins: Where it may ask for something.
    """

    page: Page
    origins: tuple[str, ...]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("requestfailed", lambda it: self.problems.append(f"failed: {it.url}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((*self.origins, "data:", "blob:")):
            self.problems.append(f"elsewhere: {request.url}")

    async def heard(self, what: str) -> Any:
        return await self.page.evaluate(f"window.__ears.{what}")

    async def until(self, script: str, timeout_secs: float, argument: object = None) -> None:
        """Wait until a JavaScript function of `argument` returns something true.

        Raises:
            playwright.async_api.TimeoutError: If that takes too long.
        """
        await self.page.wait_for_function(script, arg=argument, timeout=timeout_secs * 1000)

    async def until_state(self, state: str, timeout_secs: float) -> None:
        await self.page.locator(f"[data-voice-state={state}]").wait_for(timeout=timeout_secs * 1000)

    async def now_ms(self) -> float:
        return float(await self.page.evaluate("performance.now()"))

    async def until_told(self, kind: str, timeout_secs: float, after_ms: float = 0) -> None:
        """Wait for an RTVI message of one type."""
        await self.until(
            """([kind, after]) => window.__ears.messages.some(
              ({ type, at }) => type === kind && at > after)""",
            timeout_secs,
            [kind, after_ms],
        )

    async def until_bot_is_done(self, after_ms: float, timeout_secs: float) -> None:
        """Wait until the bot has spoken since `after_ms`, and has nothing more to say.

        A slow model may leave a pause within an answer: it is over when the model is done, too.
        """
        await self.until(
            """([after, pause]) => {
              const told = window.__ears.messages.filter(({ type, at }) => at > after &&
                /^bot-(llm|tts)-(started|stopped)$|^bot-(started|stopped)-speaking$/.test(type));
              const last = (part) => told.findLast(({ type }) => type.includes(part))?.type;
              return last("speaking") === "bot-stopped-speaking" &&
                last("-llm-") !== "bot-llm-started" &&
                performance.now() - told.at(-1).at > pause;
            }""",
            timeout_secs,
            [after_ms, PAUSE_MS],
        )

    async def until_transcripts(self, count: int, timeout_secs: float) -> None:
        """Wait until the user was transcribed `count` times in this call."""
        await self.until(
            """(count) => window.__ears.messages.filter(
              ({ type, data }) => type === "user-transcription" && data.final).length >= count""",
            timeout_secs,
            count,
        )

    async def say(self, pcm: Pcm, tmp_path: Path) -> Span:
        """Speak into a `spoken` microphone; return when it was, once it is over."""
        wav = tmp_path / "say.wav"
        write_audio(wav, pcm)
        said = await self.page.evaluate(
            "(wav) => window.__say(wav)", base64.b64encode(wav.read_bytes()).decode()
        )
        return Span(*said)

    async def messages(self, kind: str, after_ms: float = 0) -> list[dict[str, Any]]:
        """Return what the server told by RTVI messages of one type."""
        return [m for m in await self.heard("messages") if m["type"] == kind and m["at"] > after_ms]

    async def final_transcripts(self, after_ms: float = 0) -> list[str]:
        told = await self.messages("user-transcription", after_ms)
        return [m["data"]["text"] for m in told if m["data"]["final"]]

    async def entries(self, role: Literal["user", "bot"]) -> list["Entry"]:
        """Return what the transcript on the page shows."""
        found = await self.page.locator(f"[data-role={role}]").evaluate_all(
            "(all) => all.map((entry) => [entry.querySelector('.entry__text').textContent, "
            "entry.dataset.final === 'true', entry.dataset.interrupted === 'true'])"
        )
        return [Entry(*entry) for entry in found]

    async def report(self) -> str:
        """Return what happened, for a person who looks for why a test failed."""
        if self.page.is_closed():
            return "the page is closed"
        lines = [f"states: {await self.heard('states')}", f"problems: {self.problems}"]
        levels = " ".join(f"{at:.0f}:{level:.3f}" for at, level in await self.heard("levels"))
        lines.append(f"levels: {levels}")
        for message in await self.heard("messages"):
            if message["type"] not in ("metrics", "bot-llm-text"):
                lines.append(f"{message['at']:9.0f} {message['type']} {message.get('data', '')}")
        return "\n".join(lines)

    async def record(self) -> None:
        """Begin to keep what the bot says, which must have been heard before."""
        await self.page.evaluate("window.__ears.record()")

    async def recorded(self, tmp_path: Path) -> Pcm:
        """Return what it has said since, once it is not heard any more."""
        await self.until(
            """([pause, loud]) => !window.__ears.levels.some(
              ([at, level]) => at > performance.now() - pause && level > loud)""",
            LATE_SECS,
            [PAUSE_MS, LOUD],
        )
        webm = tmp_path / "heard.webm"
        webm.write_bytes(base64.b64decode(await self.page.evaluate("window.__ears.recorded()")))
        return read_audio(webm)

    async def voiced_secs(self, span: Span) -> float:
        """Return for how long the bot was heard in a span."""
        return voiced_secs(await self.heard("levels"), span)


@dataclass(frozen=True)
class Entry:
    """An entry of the transcript, as it is shown."""

    text: str
    is_final: bool
    is_interrupted: bool


def voiced_secs(levels: Iterable[tuple[float, float]], span: Span) -> float:
    """Add up the time between measurements in which it was loud; a gap counts for 200 ms."""
    total_ms = 0.0
    before = span.from_ms
    for at, level in levels:
        if not span.from_ms < at <= span.to_ms:
            continue
        total_ms += min(at - before, 200) if level > LOUD else 0
        before = at
    return total_ms / 1000


def _arguments(microphone: Microphone, wav: Path | None, executable: str) -> list[str]:
    extra = {
        "fake": [FAKE_DEVICES, ALLOW_DEVICES],
        "spoken": [FAKE_DEVICES, ALLOW_DEVICES],
        "denied": [FAKE_DEVICES],
        "missing": [NO_DEVICES, ALLOW_DEVICES],
    }[microphone]
    file = [f"--use-file-for-fake-audio-capture={wav}%noloop"] if wav else []
    loopback = [LOOPBACK] if is_alone() and executable == CHROMIUM else []
    return [*QUIET, *extra, *file, *loopback]


@asynccontextmanager
async def chromium(
    microphone: Microphone, wav: Path | None = None, executable: str = CHROMIUM
) -> AsyncIterator[Browser]:
    """Start Chromium.

    Args:
        microphone: `fake` plays `wav` once, from when it is opened; `spoken` is filled by
            `Tab.say`; `denied` and `missing` are what they say.
        wav: For a `fake` microphone, which beeps without.
        executable: What starts it.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=_arguments(microphone, wav, executable)
        )
        try:
            yield browser
        finally:
            await browser.close()
