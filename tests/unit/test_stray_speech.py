"""Interruptions at every step of a real output transport's work."""

import pytest
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)

from processors.output_pause import OutputPause
from processors.stray_speech import StraySpeechProcessor
from tests.loudspeaker import RATE, Loudspeaker, Speech, playing, turns_of_the_loop

STEPS = 12
"""Turns of the event loop until the playing task goes on: an interruption takes fewer."""


def speech() -> list[Frame]:
    audio = TTSAudioRawFrame(b"\x01\x01" * RATE, RATE, 1)
    return [TTSStartedFrame(), audio, TTSStoppedFrame()]


@pytest.mark.parametrize("steps", range(STEPS))
async def test_an_interrupted_bot_is_silent_until_its_answer(steps: int) -> None:
    loudspeaker, told = Loudspeaker(OutputPause(), stops_at=3), Speech()
    async with playing(loudspeaker, told, before=[StraySpeechProcessor()]) as worker:
        await worker.queue_frames(speech())
        await loudspeaker.has_stopped.wait()

        await worker.queue_frame(InterruptionFrame())
        await turns_of_the_loop(steps)
        loudspeaker.plays_on.set()
        await turns_of_the_loop()
        assert told.silent.is_set()

        before = told.starts
        await worker.queue_frames(speech())
        await told.speaking.wait()
        assert told.starts == before + 1, "the answer is told as a speech of its own"
        await told.silent.wait()
