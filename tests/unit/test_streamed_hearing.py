"""What becomes of a call whose speech recognition has a defect of its own."""

from collections.abc import AsyncGenerator

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

from processors.circuit import Circuit
from processors.failover import Failure, Watch
from processors.hearing_failover import watched_stt
from processors.speech_failover import Frames

CANNOT_HEAR = "I did not get that."
RATE_HZ = 16_000


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


class Sound:
    """Transcribes whatever it is given."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    async def hear(self, audio: bytes) -> Frames:
        yield TranscriptionFrame("Hello.", "", "")


async def report(_failure: Failure) -> None:
    pass


def watch(provider: str) -> Watch:
    return Watch("stt", provider, Circuit(failures=1, rest_secs=60), 0.2, 0.2, report)


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
