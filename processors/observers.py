"""Observers of a call, which are spared the sound of the microphone."""

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.worker_observer import WorkerObserver


class CallObservers(WorkerObserver):
    """Tells several observers of everything but the microphone's sound.

    Pipecat queues each frame for each observer, every 20 ms and at every processor that it passes:
    six observers that look for other frames would cost a call a third more. Each has a queue and a
    task of its own here as well, so that none waits for another.

    Args:
        observers: Who is told, of each frame once.
    """

    def __init__(self, observers: list[BaseObserver]) -> None:
        super().__init__(observers=observers, observe_every_push=False)

    async def on_process_frame(self, data: FrameProcessed) -> None:
        """Tell of a frame that has come to a processor."""
        if not isinstance(data.frame, InputAudioRawFrame):
            await super().on_process_frame(data)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Tell of a frame that was pushed."""
        if not isinstance(data.frame, InputAudioRawFrame):
            await super().on_push_frame(data)
