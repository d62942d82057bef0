"""Offline text-to-speech: the Pipecat service of one session on a shared Piper voice."""

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.utils.tracing.service_decorators import traced_tts

from engines.piper import PiperEngine, Speech
from processors.first_clause import FirstClauseAggregator, first_clause_of
from processors.heard_words import TimedTTS


class PiperTTS(TimedTTS):
    """Speaks for one bot, from the first clause of a reply on.

    Args:
        engine: The voice; shared, and closed by its owner.
        speed: 1.0 is the voice's own pace.
        **kwargs: Passed to `TTSService`.
    """

    def __init__(self, engine: PiperEngine, *, speed: float = 1.0, **kwargs: Any) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
            **kwargs,
        )
        self._text_aggregator = FirstClauseAggregator()
        self._engine = engine
        self._speed = speed
        self._reply_id: str | None = None
        self._prepared: tuple[str, Speech] | None = None

    def can_generate_metrics(self) -> bool:
        """Report the time to the first sound."""
        return True

    def prepare(self, text: str) -> None:
        """Make the first sound of a reply that may not be wanted; it is kept until it is spoken.

        It takes the place of what was prepared before, unless that is the same. One piece is made,
        about 0.2 s of sound: the others follow faster than they are heard.

        Args:
            text: What `run_tts` will be called with if the reply is wanted: the first piece that a
                `FirstClauseAggregator` gives out.
        """
        if self._prepared and self._prepared[0] == text.strip():
            return
        self.forget_prepared()
        speech = self._speak(text, trim=True)
        speech.start()
        self._prepared = (text.strip(), speech)

    def forget_prepared(self) -> None:
        """Drop what was prepared; what is still waiting to be made is not made."""
        if self._prepared:
            self._prepared[1].cancel()
            self._prepared = None

    async def study(self, reply: str) -> None:
        """Have the first clause of a reply made and kept, so that it is heard at once later on."""
        await self._engine.keep(await first_clause_of(reply), speed=self._speed)

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak `text`: the first clause of a reply, or a sentence."""
        await self.start_tts_usage_metrics(text)
        # Within a reply, the silence in front of a sentence is the pause after the one before.
        begins = context_id != self._reply_id
        self._reply_id = context_id
        speech = self._take_prepared(text) or self._speak(text, trim=begins)
        words, told = text.split(), 0
        async for pcm in speech:
            await self.stop_ttfb_metrics()
            for word, at in zip(words[told:], speech.begins_at[told:], strict=False):
                self._words.word(word, at)
            told = len(speech.begins_at)
            for item in self._words.sound(TTSAudioRawFrame(pcm, self.sample_rate, 1)):
                for frame in self._as_frames(item, context_id):
                    yield frame

    async def cleanup(self) -> None:
        """Drop what was prepared for nothing."""
        self.forget_prepared()
        await super().cleanup()

    def _speak(self, text: str, *, trim: bool) -> Speech:
        return self._engine.speak(text, rate_hz=self.sample_rate, speed=self._speed, trim=trim)

    def _take_prepared(self, text: str) -> Speech | None:
        """Return what was prepared if it is this text; it is used or dropped, and then gone."""
        if self._prepared and self._prepared[0] == text.strip():
            speech = self._prepared[1]
            self._prepared = None
            return speech
        self.forget_prepared()
        return None
