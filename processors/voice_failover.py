"""A voice that fails is stood in for by the next one of a list, sentence by sentence."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.services.settings import TTSSettings
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.circuit import CircuitState
from processors.heard_words import HeardWords, TimedTTS
from processors.speech_failover import first_that_works, watch_of
from processors.watched_voice import StreamedTTS, WatchedTTS

NO_VOICE = "I am sorry, my voice does not work just now. Please try again in a moment."
"""What is said where no voice works, in a recording."""


class Voice(TimedTTS):
    """Says each sentence by the first of several services that can.

    Sound and text keep their order, whoever speaks. A sentence that breaks off is said again from
    its beginning. Where nobody can say it, a recording says so, once in a reply.

    Args:
        voices: In order of preference; all are watched.
        recording: Returns `NO_VOICE` as 16-bit PCM, mono, at a sample rate in Hz.
    """

    def __init__(self, voices: Sequence[WatchedTTS], recording: Callable[[int], bytes]) -> None:
        super().__init__(
            settings=TTSSettings(model=None, voice=None, language=voices[0]._settings.language),
            push_start_frame=True,
            push_stop_frames=True,
            # Their circuits say when services are left alone, and when they are tried again.
            max_consecutive_zero_audio_contexts=0,
        )
        self._voices = voices
        self._recording = recording
        self._is_silent = False
        self._apologised_in: str | None = None
        self._told_so = False

    def can_generate_metrics(self) -> bool:
        """Measure how long the first sound takes."""
        return True

    async def start(self, frame: StartFrame) -> None:
        """Have the first of them ready for the first sentence."""
        await super().start(frame)
        first = self._voices[0]
        if isinstance(first, StreamedTTS) and watch_of(first).circuit.state is CircuitState.CLOSED:
            first.connect_ahead()

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Have `text` said."""
        self._is_silent = False
        async for item in first_that_works(self._voices, partial(self._said_by, text=text)):
            match item:
                case ErrorFrame():
                    self._is_silent = True
                    await self.push_error_frame(item)
                    if apology := self._apology(context_id):
                        yield apology
                case _:
                    for frame in self._as_frames(item, context_id):
                        yield frame

    async def _said_by(
        self, voice: WatchedTTS, text: str
    ) -> AsyncGenerator[TTSAudioRawFrame | str, None]:
        """Have one of them say `text`; yield its sound, and what has been heard by then."""
        self._words.begin()
        async with aclosing(voice.say(text)) as items:
            async for item in items:
                if isinstance(item, WordTimestamp):
                    self._words.word(item.word, item.timestamp)
                else:
                    for piece in self._words.sound(item):
                        yield piece

    def _apology(self, context_id: str) -> Frame | None:
        if self._apologised_in == context_id:
            return None
        self._apologised_in = context_id
        self._told_so = True
        pcm = self._recording(self.sample_rate)
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)

    async def _push_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str, append_to_context: bool
    ) -> None:
        if self._is_silent:
            # Words that nobody heard are none of the conversation, but what was heard instead is.
            told_so, self._told_so = self._told_so, False
            append_to_context = append_to_context and told_so
            text = NO_VOICE if told_so else self._words.rest
            self._words = HeardWords("", "")
        await super()._push_spoken_text(src_frame, text, context_id, append_to_context)

    async def _update_settings(self, delta: Any) -> dict[str, Any]:
        """Have another voice of the first of them: what they are called is known to it alone."""
        return await self._voices[0]._update_settings(delta)
