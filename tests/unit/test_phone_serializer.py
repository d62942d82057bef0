"""What comes over the media stream of a phone call, and what is sent there."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.processors.frameworks.rtvi.models import MESSAGE_LABEL

from bots.config import PhoneProvider, TelephonyConfig
from bots.telephony import phone_params, read_start
from processors.protocols.phone import PLAYED_SECS, PhoneSerializer
from runner.peer import Pcm
from tests import virtual_time
from tests.standins.phone import CALLS, PHONE_RATE_HZ, PhoneCall, TelnyxCall, TwilioCall
from tests.unit.test_phones import TELEPHONY

PIPELINE_HZ = 16_000
CONFIG = TelephonyConfig(**TELEPHONY)  # type: ignore[arg-type]


async def opened(call: PhoneCall, ended: list[str] | None = None) -> PhoneSerializer:
    """Return what speaks with a provider in a call that has begun; `ended` takes its end."""
    name = cast(PhoneProvider, call.name)
    starts = [read_start(name, json.dumps(message)) for message in call.begin()]
    [start] = [it for it in starts if it]
    serializer: PhoneSerializer = phone_params(name, start, CONFIG)["serializer"]

    async def end_call() -> None:
        assert ended is not None, "nobody is to end this call"
        ended.append(call.id)

    guarded = PhoneSerializer(serializer._stream, end_call)
    rates = SimpleNamespace(audio_in_sample_rate=PIPELINE_HZ, audio_out_sample_rate=24_000)
    await guarded.setup(cast(FrameProcessorSetup, rates))
    return guarded


def tone(rate_hz: int, secs: float = 1.0) -> Pcm:
    at = np.arange(int(rate_hz * secs)) / rate_hz
    return (8000 * np.sin(2 * np.pi * 1000 * at)).astype(np.int16)


MULAW_ERROR = 0.02


def error(pcm: Pcm, wanted: Pcm) -> float:
    """Return how much of a sound is wrong, as a share."""
    return float(np.std(pcm.astype(float) - wanted) / np.std(wanted))


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> PhoneCall:
    return CALLS[request.param]("CA1")


async def test_what_the_caller_says_comes_whole_and_at_once(call: PhoneCall) -> None:
    serializer = await opened(call)
    said, heard = tone(PHONE_RATE_HZ), b""
    for at in range(0, said.size, 160):
        frame = await serializer.deserialize(json.dumps(call.media(said[at : at + 160])))
        assert isinstance(frame, InputAudioRawFrame)
        assert (frame.sample_rate, frame.num_channels) == (PIPELINE_HZ, 1)
        heard += frame.audio
        late_secs = (at + 160) / PHONE_RATE_HZ - len(heard) / 2 / PIPELINE_HZ
        assert late_secs < 0.003
    pcm = np.frombuffer(heard, np.int16)
    assert error(pcm[1000:], tone(PIPELINE_HZ)[1000 : pcm.size]) < MULAW_ERROR


async def test_what_the_bot_says_goes_as_it_is(call: PhoneCall) -> None:
    serializer = await opened(call)
    said = tone(PHONE_RATE_HZ, 0.2)
    sent = await serializer.serialize(OutputAudioRawFrame(said.tobytes(), PHONE_RATE_HZ, 1))
    assert isinstance(sent, str)
    played = call.played(json.loads(sent))
    assert played is not None
    assert error(played, said) < MULAW_ERROR
    assert await serializer.serialize(OutputAudioRawFrame(b"", PHONE_RATE_HZ, 1)) is None


async def test_an_interruption_clears_what_is_not_played_yet(call: PhoneCall) -> None:
    serializer = await opened(call)
    sent = await serializer.serialize(InterruptionFrame())
    assert isinstance(sent, str)
    assert call.played(json.loads(sent)) is None


async def test_a_key_is_a_key(call: PhoneCall) -> None:
    serializer = await opened(call)
    for key in KeypadEntry:
        frame = await serializer.deserialize(json.dumps(call.key(key.value)))
        assert isinstance(frame, InputDTMFFrame)
        assert frame.button is key
    assert await serializer.deserialize(json.dumps(call.key("A"))) is None


async def test_nothing_of_rtvi_goes_to_a_phone(call: PhoneCall) -> None:
    serializer = await opened(call)
    message = {"label": MESSAGE_LABEL, "type": "bot-ready", "id": "1", "data": {}}
    assert await serializer.serialize(OutputTransportMessageUrgentFrame(message=message)) is None


async def test_a_caller_who_hangs_up_ends_the_conversation_and_nobody_ends_the_call(
    call: PhoneCall,
) -> None:
    ended: list[str] = []
    serializer = await opened(call, ended)
    frame = await serializer.deserialize('{"event": "stop"}')
    assert isinstance(frame, InputTransportMessageFrame)
    assert frame.message["type"] == "disconnect-bot"
    assert await serializer.serialize(CancelFrame()) is None
    assert not ended


def test_a_bot_that_hangs_up_ends_the_call_once_its_last_word_was_played() -> None:
    async def main() -> None:
        loop, ended = asyncio.get_running_loop(), list[str]()
        serializer = await opened(TwilioCall("CA1"), ended)
        assert await serializer.serialize(EndFrame()) is None
        assert loop.time() == pytest.approx(PLAYED_SECS)
        await serializer.serialize(CancelFrame())
        assert ended == ["CA1"]

    virtual_time.run(main())


def test_one_that_is_broken_off_is_ended_at_once() -> None:
    async def main() -> None:
        ended: list[str] = []
        serializer = await opened(TwilioCall("CA1"), ended)
        await serializer.serialize(CancelFrame())
        assert asyncio.get_running_loop().time() == 0
        assert ended == ["CA1"]

    virtual_time.run(main())


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        "NaN",
        "\udcff",
        b"\xff\xfe",
        "[" * 100_000,
        '{"event": null}',
        '{"event": "media"}',
        '{"event": "media", "media": null}',
        '{"event": "media", "media": {"payload": 3}}',
        '{"event": "media", "media": {"payload": "x"}}',
        '{"event": "media", "media": {"payload": "not Base64!"}}',
        '{"event": "media", "media": {"payload": "AA=="}}',
        '{"event": "dtmf", "dtmf": "1"}',
        '{"event": "dtmf", "dtmf": {"digit": ["1"]}}',
        '{"event": "mark", "mark": {"name": "end"}}',
        '{"event": "start", "start": {}}',
        '{"event": "playedStream", "name": "end"}',
        '{"event": "of tomorrow"}',
    ],
)
async def test_what_cannot_be_taken_is_passed_over(call: PhoneCall, message: str | bytes) -> None:
    serializer = await opened(call)
    frame = await serializer.deserialize(message)
    assert frame is None or isinstance(frame, InputAudioRawFrame)
    said = json.dumps(call.media(tone(PHONE_RATE_HZ, 0.1)))
    assert isinstance(await serializer.deserialize(said), InputAudioRawFrame), "it goes on"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
events = st.fixed_dictionaries(
    {"event": st.sampled_from(["media", "dtmf", "mark", "start", "connected"]) | json_values},
    optional={
        "media": st.fixed_dictionaries({"payload": json_values}) | json_values,
        "dtmf": st.fixed_dictionaries({"digit": json_values}) | json_values,
    },
)


@given(st.text() | st.binary() | json_values.map(json.dumps) | events.map(json.dumps))
def test_nothing_that_comes_ends_the_reading(message: str | bytes) -> None:
    async def main() -> None:
        for kind in CALLS.values():
            await (await opened(kind("CA1"))).deserialize(message)

    asyncio.run(main())


class TestBeginning:
    @pytest.mark.parametrize("name", CALLS)
    def test_a_stream_begins_with_what_names_it_and_its_call(self, name: str) -> None:
        *before, start = CALLS[name]("CA1").begin()
        for message in before:
            assert read_start(cast(PhoneProvider, name), json.dumps(message)) is None
        read = read_start(cast(PhoneProvider, name), json.dumps(start))
        assert read
        assert (read.stream_id, read.call_id) == ("MZ0123456789", "CA1")
        assert read.from_number is read.to_number is None, "nobody keeps who called"

    @pytest.mark.parametrize("call_id", ["", "../Other", "CA1/Recordings", "CA1?", "x" * 201, None])
    def test_a_name_that_leads_elsewhere_in_an_address_is_none(self, call_id: Any) -> None:
        _, start = CALLS["twilio"](call_id).begin()
        assert read_start("twilio", json.dumps(start)) is None

    async def test_telnyx_may_send_a_law(self) -> None:
        call = TelnyxCall("v3:1")
        _, start = call.begin()
        start["start"]["media_format"]["encoding"] = "G722"
        assert read_start("telnyx", json.dumps(start)) is None
        start["start"]["media_format"]["encoding"] = "PCMA"
        read = read_start("telnyx", json.dumps(start))
        assert read
        stream = phone_params("telnyx", read, CONFIG)["serializer"]
        rates = SimpleNamespace(audio_in_sample_rate=PIPELINE_HZ, audio_out_sample_rate=24_000)
        await stream.setup(rates)
        # 0xD5 is the smallest value of A-law, and a large one of mu-law.
        silence = {"event": "media", "media": {"payload": "1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV"}}
        for _ in range(3):
            frame = await stream.deserialize(json.dumps(silence))
        assert np.abs(np.frombuffer(frame.audio, np.int16)).max() < 20
