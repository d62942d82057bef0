from pipecat.frames.frames import InputAudioRawFrame, TranscriptionFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.tests.utils import run_test

from processors.observers import CallObservers

WORDS = TranscriptionFrame("Hello.", "", "")


def sound() -> InputAudioRawFrame:
    return InputAudioRawFrame(bytes(640), 16_000, 1)


class Recorder(BaseObserver):
    """Keeps what it is told of."""

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)
        self.told: list[str] = []

    async def on_process_frame(self, data: FrameProcessed) -> None:
        """Keep a frame that has come to a processor."""
        if isinstance(data.frame, InputAudioRawFrame):
            self.told.append("sound came")

    async def on_push_frame(self, data: FramePushed) -> None:
        """Keep a frame that was pushed."""
        if isinstance(data.frame, (InputAudioRawFrame, TranscriptionFrame)):
            self.told.append(type(data.frame).__name__)


async def test_each_observer_is_told_once_of_words_and_of_no_sound_of_the_microphone() -> None:
    one, other, beside = Recorder(), Recorder(), Recorder()
    await run_test(
        IdentityFilter(),
        frames_to_send=[sound(), WORDS, sound()],
        observers=[CallObservers([one, other]), beside],
    )
    assert one.told == other.told == ["TranscriptionFrame"]
    assert beside.told.count("InputAudioRawFrame") == 2, "Pipecat tells of all"
