"""How far the microphone's sound goes."""

from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, TextFrame
from pipecat.tests.utils import run_test

from processors.microphone_sink import MicrophoneSinkProcessor


async def test_behind_the_last_who_listens_there_is_everything_but_the_microphone() -> None:
    sound = InputAudioRawFrame(bytes(640), 16_000, 1)
    down, _ = await run_test(
        MicrophoneSinkProcessor(),
        frames_to_send=[sound, TextFrame("a word"), sound, InterruptionFrame()],
    )
    assert sorted(type(frame).__name__ for frame in down) == ["InterruptionFrame", "TextFrame"]
