"""Clients of the protocols of JSON messages; see docs/protocols.md."""

import asyncio
import base64
import json
import time
from abc import abstractmethod

import numpy as np
from websockets.asyncio.client import ClientConnection

from engines.audio.decoding import FileDecoder
from engines.audio.encoding import PcmEncoder, WebmEncoder
from runner.clients.client import SAMPLE_RATE_HZ, Pcm, Told
from runner.clients.rtvi import is_kind
from runner.clients.sockets import SocketClient

READY_SECS = 20


class JsonClient(SocketClient):
    """A client whose messages are JSON. In all of these protocols the user speaks first.

    Attributes:
        sound: The type of the messages with the bot's voice.
        sound_key: Where in those it is.
    """

    is_greeted = False
    chunk_secs = 0.25
    sound: str
    sound_key = "data"

    async def send(self, message: Told) -> None:
        """Send a message."""
        await self.socket.send(json.dumps(message))

    def take(self, data: str | bytes) -> None:
        """Take a message of the service."""
        message = json.loads(data)
        if message["type"] != self.sound:
            self.messages.append(message)
        elif pcm := self.heard_in(base64.b64decode(message[self.sound_key])):
            self.on_heard(np.frombuffer(pcm, np.int16))

    @abstractmethod
    def heard_in(self, data: bytes) -> bytes:
        """Return a piece of the bot's voice, 16-bit mono at 48 kHz, of what was sent of it."""


class PushToTalk(JsonClient):
    """A client that sends sound only while its user talks, and says when that is over."""

    async def say(self, pcm: Pcm) -> None:
        """Say something, as a recorder sends it; returns when the last of it has been sent."""
        begun_at, size = time.monotonic(), round(self.chunk_secs * SAMPLE_RATE_HZ)
        for at in range(0, len(pcm), size):
            piece = pcm[at : at + size]
            recorded_at = begun_at + (at + len(piece)) / SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, recorded_at - time.monotonic()))
            if at + size < len(pcm):
                await self.send_sound(piece)
            else:
                await self.release(piece)

    @abstractmethod
    async def release(self, pcm: Pcm) -> None:
        """Send the last piece of what is said."""


class VoiceAgentClient(PushToTalk):
    """Speaks `/ws/voice-agent`: WebM with Opus out, MP3 in, as browsers do."""

    sound = "audio_response"

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self._recorder = WebmEncoder(SAMPLE_RATE_HZ)
        self._player = FileDecoder(SAMPLE_RATE_HZ)

    def user_words(self, message: Told) -> str | None:
        """Return what the user has said."""
        is_told = message["type"] == "transcription" and message["is_final"]
        return str(message["text"]) if is_told else None

    def bot_words(self, message: Told) -> str | None:
        """Return what the bot says."""
        return f"{message['text']} " if message["type"] == "llm_response" else None

    def is_over(self, message: Told) -> bool:
        """Say whether the bot waits for the user."""
        return bool(message["type"] == "status_update" and message["status"] == "idle")

    async def open(self) -> None:
        """Wait until there is a bot."""
        await self.wait_for(is_kind("connection_established"), timeout=READY_SECS)

    async def hang_up(self) -> None:
        """End the session."""
        await self.send({"type": "end_session"})

    async def close(self) -> None:
        """Hang up, and leave nothing running."""
        await super().close()
        self._player.close()

    async def send_sound(self, pcm: Pcm) -> None:
        """Send a piece of a recording."""
        await self._send(self._recorder.feed(pcm.tobytes()), is_final=False)

    async def release(self, pcm: Pcm) -> None:
        """Send the last piece of a recording, and begin another."""
        recorder, self._recorder = self._recorder, WebmEncoder(SAMPLE_RATE_HZ)
        await self._send([*recorder.feed(pcm.tobytes()), *recorder.finish()], is_final=True)

    def heard_in(self, data: bytes) -> bytes:
        """Return a piece of the bot's voice."""
        return self._player.feed(data)

    async def _send(self, pieces: list[bytes], *, is_final: bool) -> None:
        data = base64.b64encode(b"".join(pieces)).decode()
        await self.send({"type": "audio_chunk", "data": data, "is_final": is_final})


class PcmClient(JsonClient):
    """A client that sends and gets sound as it is, 16-bit mono.

    Attributes:
        rate_hz: Of that.
        recorded: The type of the messages with what the microphone hears.
        recorded_key: Where in those it is.
    """

    rate_hz = 16_000
    recorded = "audio"
    recorded_key = "data"

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self._to_ears = PcmEncoder(self.rate_hz, SAMPLE_RATE_HZ)
        self._to_microphone = PcmEncoder(SAMPLE_RATE_HZ, self.rate_hz)

    async def send_sound(self, pcm: Pcm) -> None:
        """Send a piece of what the microphone hears."""
        for piece in self._to_microphone.feed(pcm.tobytes()):
            data = base64.b64encode(piece).decode()
            await self.send({"type": self.recorded, self.recorded_key: data})

    def heard_in(self, data: bytes) -> bytes:
        """Return a piece of the bot's voice."""
        return b"".join(self._to_ears.feed(data))


class SandwichClient(PushToTalk, PcmClient):
    """Speaks `/ws/sandwich`."""

    sound = "tts_audio"

    def user_words(self, message: Told) -> str | None:
        """Return what the user has said."""
        return str(message["text"]) if message["type"] == "stt_final" else None

    def bot_words(self, message: Told) -> str | None:
        """Return what the bot says."""
        return str(message["text"]) if message["type"] == "agent_chunk" else None

    def is_over(self, message: Told) -> bool:
        """Say whether the answer is over."""
        return bool(message["type"] == "complete")

    async def release(self, pcm: Pcm) -> None:
        """Send the last piece of what is said."""
        await self.send_sound(pcm)
        await self.send({"type": "end"})


class RealtimeClient(PcmClient):
    """Speaks `/ws/realtime`, in which the microphone is heard all the time."""

    sound = "audio"

    def user_words(self, message: Told) -> str | None:
        """Return what the user has said."""
        return str(message["text"]) if message["type"] == "transcript" else None

    def bot_words(self, message: Told) -> str | None:
        """Return nothing: this protocol has no words of the bot."""
        return None

    def is_over(self, message: Told) -> bool:
        """Say whether the answer is over."""
        return message["type"] in ("done", "interrupted")

    async def open(self) -> None:
        """Let the microphone be heard."""
        await self.keep_talking()

    async def hang_up(self) -> None:
        """End the call."""
        await self.send({"type": "stop"})


class OpenAiClient(PcmClient):
    """Speaks `/v1/realtime`, OpenAI's protocol, with the service's detection of turns."""

    sound = "response.output_audio.delta"
    sound_key = "delta"
    rate_hz = 24_000
    recorded = "input_audio_buffer.append"
    recorded_key = "audio"

    def user_words(self, message: Told) -> str | None:
        """Return what the user has said."""
        is_told = message["type"] == "conversation.item.input_audio_transcription.completed"
        return str(message["transcript"]) if is_told else None

    def bot_words(self, message: Told) -> str | None:
        """Return what the bot says."""
        is_told = message["type"] == "response.output_audio_transcript.done"
        return f"{message['transcript']} " if is_told else None

    def is_over(self, message: Told) -> bool:
        """Say whether the answer is over."""
        is_done = message["type"] == "response.done"
        return bool(is_done and message["response"]["status"] != "cancelled")

    async def open(self) -> None:
        """Wait until there is a bot, and let the microphone be heard; ask to be told what is."""
        await self.wait_for(is_kind("session.created"), timeout=READY_SECS)
        wish = {"audio": {"input": {"transcription": dict[str, str]()}}}
        await self.send({"type": "session.update", "session": wish})
        await self.keep_talking()

    async def write(self, text: str) -> None:
        """Send something in writing."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})
