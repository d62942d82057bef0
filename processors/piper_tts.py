"""Offline text-to-speech: the Pipecat service of one session on a shared Piper voice."""

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import Frame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from engines.piper import PiperEngine


class PiperTTS(TTSService):
    """Speaks for one bot.

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
        self._engine = engine
        self._speed = speed

    def can_generate_metrics(self) -> bool:
        """Report the time to the first sound."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak `text`, which is usually one sentence."""
        await self.start_tts_usage_metrics(text)
        async for frame in self._stream_audio_frames_from_iterator(
            self._engine.speak(text, speed=self._speed),
            in_sample_rate=self._engine.sample_rate_hz,
            context_id=context_id,
        ):
            await self.stop_ttfb_metrics()
            yield frame
