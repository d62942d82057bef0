"""What becomes of the sound in clients' messages."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from bots.protocols import JsonCall, make_serializer
from engines.audio.decoding import FileDecoder
from engines.audio.encoding import WebmEncoder
from processors.protocols.dialogue_serializer import DialogueSerializer
from processors.protocols.json_serializer import ProtocolError
from processors.protocols.sound import AudioFormat, Microphone, Sound
from processors.push_to_talk import FinalAudioFrame

RATE_HZ = 16_000
SILENCE_SECS = 0.6


@pytest.fixture
async def microphone() -> AsyncIterator[Microphone]:
    async def send(_: str) -> None: ...

    serializer = make_serializer("sandwich", JsonCall(send, "", ""))
    assert isinstance(serializer, DialogueSerializer)
    yield serializer.microphone
    await serializer.cleanup()


def sound(data: bytes, audio_format: AudioFormat = "pcm16", rate_hz: int = RATE_HZ) -> Sound:
    data_64 = base64.b64encode(data).decode()
    return Sound(data=data_64, format=audio_format, sample_rate=rate_hz)  # type: ignore[arg-type]


def tone(secs: float, rate_hz: int = RATE_HZ) -> bytes:
    at = np.arange(round(secs * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16).tobytes()


def webm(secs: float) -> list[bytes]:
    encoder, pcm = WebmEncoder(48_000), tone(secs, 48_000)
    pieces = [encoder.feed(pcm[at : at + 1920]) for at in range(0, len(pcm), 1920)]
    return [piece for made in [*pieces, encoder.finish()] for piece in made]


async def secs_of(microphone: Microphone, *pieces: Sound) -> float:
    """Return how much is heard of an utterance."""
    frames = [await microphone.hear(piece, RATE_HZ) for piece in pieces]
    end = await microphone.hear(None, RATE_HZ, is_final=True)
    assert isinstance(end, FinalAudioFrame)
    heard = b"".join(frame.audio for frame in [*frames, end] if frame)
    return len(heard) / 2 / RATE_HZ - SILENCE_SECS


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
async def test_pcm_is_heard_at_any_rate(microphone: Microphone, rate_hz: int) -> None:
    pieces = [sound(tone(0.25, rate_hz), rate_hz=rate_hz) for _ in range(4)]
    assert await secs_of(microphone, *pieces) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
async def test_what_telephones_send_is_heard(microphone: Microphone, law: AudioFormat) -> None:
    assert await secs_of(microphone, sound(bytes(8000), law, 8000)) == pytest.approx(1, abs=0.01)


async def test_each_utterance_is_a_file_of_its_own(microphone: Microphone) -> None:
    for _ in range(2):
        pieces = [sound(piece, "auto") for piece in webm(1)]
        assert len(pieces) > 3
        assert await secs_of(microphone, *pieces) == pytest.approx(1, abs=0.05)


async def test_a_client_may_change_what_it_sends(microphone: Microphone) -> None:
    pieces = [sound(tone(0.5)), sound(tone(0.5, 8_000), rate_hz=8_000)]
    assert await secs_of(microphone, *pieces) == pytest.approx(1, abs=0.02)


async def test_what_cannot_be_read_is_told_once_and_the_next_utterance_is_heard(
    microphone: Microphone,
) -> None:
    garbage = sound(b"no sound at all, but letters", "auto")
    with pytest.raises(ProtocolError) as refused:
        await microphone.hear(garbage, RATE_HZ)
    assert refused.value.code == "AUDIO_FORMAT_UNKNOWN"
    assert await microphone.hear(garbage, RATE_HZ) is None
    assert await secs_of(microphone, *(sound(it, "auto") for it in webm(1))) > 0.9
    with pytest.raises(ProtocolError):
        await microphone.hear(garbage, RATE_HZ)


async def test_a_recording_that_breaks_off_may_be_begun_anew(microphone: Microphone) -> None:
    whole = [sound(piece, "auto") for piece in webm(1)]
    assert await secs_of(microphone, *whole[:9], *whole) == pytest.approx(1.5, abs=0.1)


async def test_a_piece_that_ends_in_the_midst_of_a_sample_is_told_and_left_out(
    microphone: Microphone,
) -> None:
    with pytest.raises(ProtocolError) as refused:
        await microphone.hear(sound(tone(0.5) + b"x"), RATE_HZ)
    assert refused.value.code == "AUDIO_TRUNCATED"
    frame = await microphone.hear(sound(tone(0.5)), RATE_HZ)
    assert frame
    assert frame.audio == tone(0.5)[: len(frame.audio)]


async def test_a_decoder_that_is_in_the_midst_of_a_file_is_closed_with_the_call(
    microphone: Microphone,
) -> None:
    # Else the thread of the decoder would be left running.
    await microphone.hear(sound(b"".join(webm(1)[:2]), "auto"), RATE_HZ)


async def test_the_last_piece_of_an_utterance_ends_it_though_it_cannot_be_read() -> None:
    told: list[str] = []

    async def send(text: str) -> None:
        told.append(text)

    serializer = make_serializer("voice-agent", JsonCall(send, "", ""))
    serializer.in_rate_hz = RATE_HZ
    last = '{"type": "audio_chunk", "data": "%", "is_final": true}'
    assert isinstance(await serializer.deserialize(last), FinalAudioFrame)
    assert "AUDIO_INVALID" in told[-1]
    await serializer.cleanup()


async def test_a_call_that_ends_while_sound_is_decoded_leaves_no_thread() -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    class SlowDecoder(FileDecoder):
        def feed(self, data: bytes) -> bytes:
            begun.set()
            may_go_on.wait(5)
            return super().feed(data)

    microphone = Microphone(lambda _, rate_hz: SlowDecoder(rate_hz))
    hearing = asyncio.create_task(microphone.hear(sound(b"".join(webm(1)[:2]), "auto"), RATE_HZ))
    await asyncio.to_thread(begun.wait, 5)
    hearing.cancel()
    closing = asyncio.create_task(microphone.close())
    await asyncio.sleep(0)
    may_go_on.set()
    await closing
    # Else the fixture of all tests finds the thread of the decoder.
