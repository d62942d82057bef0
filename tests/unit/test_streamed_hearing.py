"""What becomes of a call whose speech recognition has a defect of its own."""

from collections.abc import AsyncGenerator

import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.tests.utils import SleepFrame, run_test

from processors.circuit import Circuit, CircuitState
from processors.failover import Failure, Watch
from processors.hearing_failover import watched_stt
from processors.speech_failover import Frames, watch_of

CANNOT_HEAR = "I did not get that."
RATE_HZ = 16_000
LATE, BEGINNING = b"late", b"beginning."
FIRST_OUTPUT_SECS = 0.2


class Defective(STTService):
    """Cannot push what is transcribed, whoever transcribes it."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.1, settings=STTSettings(model=None, language=None))

    async def _connect(self) -> None:
        raise ConnectionError

    async def _disconnect(self) -> None:
        pass

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TranscriptionFrame):
            raise KeyError("words")
        await super().push_frame(frame, direction)


class Slow(STTService):
    """Transcribes what it has been told before, with the next sound that is `LATE`.

    Attributes:
        confirms: Whether it says, before that, that it has heard all of it.
    """

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.1, settings=STTSettings(model=None, language=None))
        self.heard_secs = 0.0
        self.confirms = False

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        self.heard_secs += len(audio) / 2 / RATE_HZ
        if LATE in audio and self.confirms:
            self.confirm_finalize()
        yield TranscriptionFrame("At last.", "", "") if LATE in audio else None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self.confirms:
            self.request_finalize()
        await super().process_frame(frame, direction)


class Sound:
    """Transcribes whatever it is given."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.heard: list[bytes] = []

    async def hear(self, audio: bytes) -> Frames:
        self.heard.append(audio)
        yield TranscriptionFrame("Hello.", "", "")


async def report(_failure: Failure) -> None:
    pass


def watch(provider: str) -> Watch:
    return Watch("stt", provider, Circuit(failures=2, rest_secs=60), FIRST_OUTPUT_SECS, 0.2, report)


async def test_the_caller_is_told_of_every_piece_of_speech_that_a_defect_has_lost() -> None:
    stt = watched_stt(Defective)()
    stt.watch, stt.successors, stt.has_microphone = watch("first"), [Sound(watch("second"))], True
    stt.cannot_hear = CANNOT_HEAR
    speech = [
        VADUserStartedSpeakingFrame(),
        InputAudioRawFrame(bytes(RATE_HZ), RATE_HZ, 1),
        VADUserStoppedSpeakingFrame(),
        SleepFrame(sleep=0.5),
    ]
    down, _up = await run_test(stt, frames_to_send=speech * 2)
    assert [it.text for it in down if isinstance(it, TTSSpeakFrame)] == [CANNOT_HEAR] * 2


def said(secs: float, words: bytes = b"") -> InputAudioRawFrame:
    return InputAudioRawFrame(words + bytes(round(secs * RATE_HZ) * 2 - len(words)), RATE_HZ, 1)


async def hear(*frames: Frame, confirms: bool = False) -> tuple[Slow, Sound, list[str]]:
    """Have frames heard; return who heard them, who stood in, and what was understood."""
    stt, other = watched_stt(Slow)(), Sound(watch("second"))
    stt.confirms = confirms
    stt.watch, stt.successors, stt.has_microphone = watch("first"), [other], True
    await_connection = SleepFrame(sleep=0.1)
    settled = SleepFrame(sleep=2 * FIRST_OUTPUT_SECS)
    down, _up = await run_test(stt, frames_to_send=[await_connection, *frames, settled])
    return stt, other, [it.text for it in down if isinstance(it, TranscriptionFrame)]


BEGINS, ENDS = VADUserStartedSpeakingFrame(), VADUserStoppedSpeakingFrame()
LONG_SECS, SHORT_SECS = 1.2, 0.3


async def test_what_is_being_said_when_a_service_falls_silent_is_not_waited_for_too() -> None:
    fails = SleepFrame(sleep=1.5 * FIRST_OUTPUT_SECS)
    stt, other, heard = await hear(
        BEGINS, said(LONG_SECS), ENDS, BEGINS, said(0.1), fails, said(SHORT_SECS), ENDS
    )
    assert heard == ["Hello.", "Hello."], "though so little speech might have been none"
    assert stt.heard_secs == LONG_SECS + 0.1
    assert len(other.heard) == 2
    assert watch_of(stt).circuit.state is CircuitState.CLOSED, "it has failed once, not twice"


async def test_speech_behind_a_short_pause_is_as_long_as_it_is() -> None:
    answered = said(0.1, LATE)
    *_, heard = await hear(
        BEGINS, said(LONG_SECS), answered, ENDS, said(0.2), BEGINS, said(LONG_SECS), ENDS
    )
    assert heard == ["At last.", "Hello."]


@pytest.mark.parametrize("confirms", [False, True])
async def test_a_late_transcript_is_of_what_was_said_before(confirms: bool) -> None:
    *_, other, heard = await hear(
        *(BEGINS, said(LONG_SECS), ENDS, said(0.2)),
        *(BEGINS, said(0.5, BEGINNING), said(LONG_SECS, LATE), ENDS),
        confirms=confirms,
    )
    assert heard == ["At last.", "Hello."]
    assert [BEGINNING in sound for sound in other.heard] == [True]
