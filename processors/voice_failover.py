"""A voice that fails is stood in for by the next one of a list, sentence by sentence."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import cache, partial
from inspect import isfunction
from typing import Any, TypeAlias, TypeVar, cast
from uuid import uuid4

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import (
    InterruptibleTTSService,
    TTSService,
    WebsocketTTSService,
)
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.circuit import CircuitState
from processors.failover import Watch
from processors.heard_words import HeardWords
from processors.own_connection import OwnConnection
from processors.speech_failover import SpeechFailed, first_that_works, timed, watch_of

NO_VOICE = "I am sorry, my voice does not work just now. Please try again in a moment."
"""What is said where no voice works, in a recording."""

Said: TypeAlias = TTSAudioRawFrame | WordTimestamp
"""Sound, or a word and when it begins in the sound of its sentence."""

TTS = TypeVar("TTS", bound=TTSService)


class WatchedTTS(TTSService):
    """Goes before a service's class among the parents of one that is watched; see `watched_tts`.

    It says a sentence when a `Voice` asks for it. This one yields its sound as it is asked for it.

    Attributes:
        watch: How it is watched; None for not at all.
    """

    watch: Watch | None = None

    async def say(self, text: str) -> AsyncGenerator[Said, None]:
        """Yield the sound of `text`, and its words where they are known.

        Raises:
            SpeechFailed: If it cannot be spoken to its end.
        """
        has_sound = False
        text = self._prepare_text_for_tts(text)
        async for item in timed(self._asked_for(text, str(uuid4())), self, watch_of(self)):
            if isinstance(item, TTSAudioRawFrame | WordTimestamp):
                has_sound = has_sound or isinstance(item, TTSAudioRawFrame)
                yield item
        if not has_sound:
            raise SpeechFailed("there is no sound")

    def _asked_for(self, text: str, context_id: str) -> AsyncGenerator[Any, None]:
        return self.run_tts(text, context_id)


class SocketTTS(OwnConnection, WatchedTTS, WebsocketTTSService):
    """The same, for a service that sends its sound by a connection of its own.

    A sentence is what Pipecat has as a turn: a context of its own at the provider, which tells of
    its end. So it is known which sentence breaks off. What comes for any other is dropped.
    """

    _context_id: str | None = None
    _made: asyncio.Queue[Any]

    async def say(self, text: str) -> AsyncGenerator[Said, None]:
        """Yield the sound of `text`, and its words where they are known.

        Raises:
            SpeechFailed: If it cannot be spoken to its end.
        """
        try:
            async for item in super().say(text):
                yield item
        except SpeechFailed:
            self.hang_up()
            raise

    async def _asked_for(self, text: str, context_id: str) -> AsyncGenerator[Any, None]:
        # It holds what is left of one sentence, and is read as fast as that comes.
        self._made = asyncio.Queue()
        try:
            await self.settle()
            self._turn_context_id = context_id
            await self.on_turn_context_created(context_id)
            await self._start_audio_context(context_id)
            async for frame in self.run_tts(text, context_id):
                if frame:
                    self._made.put_nowait(frame)
            await self.on_turn_context_completed()
            is_over = False
            while not is_over:
                for item in await self._come():
                    is_over = is_over or item is None
                    if item is not None:
                        yield item
        except (asyncio.CancelledError, GeneratorExit):
            self._begin(self._drop(context_id))
            raise
        finally:
            self._context_id = self._turn_context_id = None
            # That of the `Voice` counts, and this one would go on.
            await self.cancel_ttfb_metrics()
        await self.on_audio_context_completed(context_id)

    async def _come(self) -> Sequence[Any]:
        """Wait for what comes next, and return it and all that has come with it, words first.

        Services tell words behind the sound that they are in.
        """
        items = [await self._made.get()]
        while not self._made.empty():
            items.append(self._made.get_nowait())
        return sorted(items, key=lambda item: not isinstance(item, WordTimestamp))

    async def _drop(self, context_id: str) -> None:
        """Have the provider make no more of a sentence."""
        if isinstance(self, InterruptibleTTSService):
            # What still comes could not be told from the next sentence.
            await self._disconnect()
        elif self._websocket:
            await self.on_audio_context_interrupted(context_id)

    async def create_audio_context(self, context_id: str) -> None:
        """Take what comes for a context from now on."""
        self._context_id = context_id

    def audio_context_available(self, context_id: str) -> bool:
        """Tell whether a context is that of the sentence that is being said."""
        return context_id == self._context_id

    def get_active_audio_context_id(self) -> str | None:
        """Return the context of the sentence that is being said."""
        return self._context_id

    async def append_to_audio_context(self, context_id: str | None, frame: Any) -> None:
        """Take what has come for a context, or its end."""
        if context_id and context_id == self._context_id:
            self._made.put_nowait(frame)

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Tell of an error, whoever waits for a sentence included."""
        await super().push_error_frame(error, force_treat_as_permanent)
        if self._turn_context_id or self._context_id:
            self._made.put_nowait(error)
        elif not self._is_changing:
            self.hang_up()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push on what is not for a `Voice` to say."""
        if not isinstance(frame, TTSAudioRawFrame | TTSStartedFrame | TTSStoppedFrame):
            await super().push_frame(frame, direction)


class Voice(TTSService):
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
        self._sentence = AggregatedTextFrame("", "")
        self._words = HeardWords("", "")
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
        if isinstance(first, SocketTTS) and watch_of(first).circuit.state is CircuitState.CLOSED:
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
                case TTSAudioRawFrame():
                    item.context_id = context_id
                    yield item
                case str():
                    yield self._heard(item, context_id)

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

    def _heard(self, text: str, context_id: str) -> Frame:
        frame = TTSTextFrame(text, self._sentence.text_type, segment_id=self._sentence.id)
        frame.will_be_spoken = True
        frame.context_id = context_id
        frame.append_to_context = self._tts_contexts[context_id].append_to_context
        return frame

    def _apology(self, context_id: str) -> Frame | None:
        if self._apologised_in == context_id:
            return None
        self._apologised_in = context_id
        self._told_so = True
        pcm = self._recording(self.sample_rate)
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)

    async def _register_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str
    ) -> None:
        self._sentence = src_frame
        self._words = HeardWords(src_frame.text, text)
        await super()._register_spoken_text(src_frame, text, context_id)

    async def _push_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str, append_to_context: bool
    ) -> None:
        # Words that nobody heard are none of the conversation, but what was heard instead is.
        text = self._words.rest
        if self._is_silent:
            told_so, self._told_so = self._told_so, False
            append_to_context = append_to_context and told_so
            text = NO_VOICE if told_so else text
        await super()._push_spoken_text(src_frame, text, context_id, append_to_context)

    async def _update_settings(self, delta: Any) -> dict[str, Any]:
        """Have another voice of the first of them: what they are called is known to it alone."""
        return await self._voices[0]._update_settings(delta)


def watched_tts(service: type[TTS]) -> type[TTS]:
    """Return a class that is `service`, and is watched, if it tells where a sentence ends."""
    if not issubclass(service, WebsocketTTSService):
        return cast(type[TTS], _watched(WatchedTTS, service))
    return cast(type[TTS], _watched(SocketTTS, service)) if _tells_ends(service) else service


def _tells_ends(service: type[WebsocketTTSService]) -> bool:
    """Tell whether a service ends its contexts, and does not have Pipecat wait for silence."""
    own = service.__mro__[: service.__mro__.index(WebsocketTTSService)]
    functions = [it for cls in own for it in vars(cls).values() if isfunction(it)]
    return any("remove_audio_context" in function.__code__.co_names for function in functions)


@cache
def _watched(watch: Any, service: Any) -> Any:
    return type(service.__name__, (watch, service), {})
