"""Voices that are watched: whoever asks them for a sentence is told when they fail."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import cache
from inspect import isfunction
from typing import Any, TypeAlias, TypeVar, cast
from uuid import uuid4

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import (
    InterruptibleTTSService,
    TTSService,
    WebsocketTTSService,
)
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.failover import Watch
from processors.own_connection import OwnConnection
from processors.speech_failover import SpeechFailed, timed, watch_of

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
        asked_for = self._asked_for(text, str(uuid4()))
        async with aclosing(timed(asked_for, self, watch_of(self))) as items:
            async for item in items:
                if isinstance(item, TTSAudioRawFrame | WordTimestamp):
                    has_sound = has_sound or isinstance(item, TTSAudioRawFrame)
                    yield item
        if not has_sound:
            raise SpeechFailed("there is no sound")

    def _asked_for(self, text: str, context_id: str) -> AsyncGenerator[Any, None]:
        return self.run_tts(text, context_id)


class StreamedTTS(OwnConnection, WatchedTTS, WebsocketTTSService):
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
            async with aclosing(super().say(text)) as items:
                async for item in items:
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
            if self._context_id:
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


def watched_tts(service: type[TTS]) -> type[TTS]:
    """Return a class that is `service`, and is watched, if it tells where a sentence ends."""
    if not issubclass(service, WebsocketTTSService):
        return cast(type[TTS], _watched(WatchedTTS, service))
    return cast(type[TTS], _watched(StreamedTTS, service)) if _tells_ends(service) else service


def _tells_ends(service: type[WebsocketTTSService]) -> bool:
    """Tell whether a service ends its contexts, and does not have Pipecat wait for silence."""
    own = service.__mro__[: service.__mro__.index(WebsocketTTSService)]
    functions = [it for cls in own for it in vars(cls).values() if isfunction(it)]
    return any("remove_audio_context" in function.__code__.co_names for function in functions)


@cache
def _watched(watch: Any, service: Any) -> Any:
    return type(service.__name__, (watch, service), {})
