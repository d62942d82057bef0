"""Frames that Pipecat does not have."""

from dataclasses import dataclass

from pipecat.frames.frames import ControlFrame


@dataclass
class NothingSaidFrame(ControlFrame):
    """There were no words in what the voice activity detector took for speech.

    It comes in the place of a transcript, from a speech recognition that can tell: whoever waits
    for one need not wait on.
    """
