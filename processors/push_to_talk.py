"""The end of an utterance by the word of whoever speaks: a button that is let go."""

from dataclasses import dataclass

from pipecat.frames.frames import InputAudioRawFrame

NOTHING_SAID = "nothing-said"
"""Type of the server's message of RTVI that there was no speech in an utterance."""


@dataclass
class FinalAudioFrame(InputAudioRawFrame):
    """The last sound of an utterance: the turn ends as soon as it is known what was said."""
