"""Silero and Smart Turn with their weights loaded once in a process.

Pipecat loads both for every bot (53 ms and 215 ms on the event loop, about 40 MB). An ONNX
session may be run from many threads at once, so only the state of a conversation has to be
its own.
"""

import asyncio
from typing import Any, cast

import numpy as np
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.metrics.metrics import TurnMetricsData

FAINT_RMS = 32768 * 10 ** (-50 / 20)
"""A window of 16-bit audio below it holds no voice at this microphone: -50 dBFS, as in Pipecat.

Pipecat smooths the volume over many windows (`min_volume`): where a browser's noise suppression
leaves digital silence, a voice is noticed after 260 ms with it and 110 without."""


class _SharedSilero(SileroOnnxModel):
    """Silero's recurrent state over a session that somebody else loaded."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.sample_rates = [8000, 16000]
        self.reset_states()


class SileroVAD(SileroVADAnalyzer):
    """Pipecat's Silero analyzer on the weights of `loaded`; deaf to what is fainter than -50 dBFS.

    Args:
        loaded: Has the weights.
        params: When sound counts as speech; `min_volume` is not used.
        max_speech_secs: Speech that goes on for so long is taken to stop, and to start again if it
            still goes on: what recognises it by the piece gets none that is longer.
    """

    def __init__(
        self, loaded: SileroVADAnalyzer, params: VADParams, *, max_speech_secs: float
    ) -> None:
        # The parent's constructor loads the weights: skip it, and do the rest of its work.
        VADAnalyzer.__init__(self, params=params.model_copy(update={"min_volume": 0.0}))
        self._model = _SharedSilero(loaded._model.session)
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._max_speech_secs = max_speech_secs
        self._speech_secs = 0.0

    def voice_confidence(self, buffer: bytes) -> float:
        """Return how confident Silero is that a window of 16-bit audio holds voice, 0 to 1."""
        confidence = super().voice_confidence(buffer)
        samples = np.frombuffer(buffer, np.int16).astype(np.float32)
        if self._vad_state is VADState.QUIET:
            self._speech_secs = 0.0
        self._speech_secs += len(samples) / self.sample_rate
        is_faint = np.mean(samples**2) < FAINT_RMS**2
        return 0.0 if is_faint or self._speech_secs > self._max_speech_secs else confidence


class SmartTurn(LocalSmartTurnAnalyzerV3):
    """Pipecat's Smart Turn analyzer on the weights of `loaded`."""

    def __init__(self, loaded: LocalSmartTurnAnalyzerV3, **kwargs: Any) -> None:
        # The parent's constructor loads the weights: skip it, and do the rest of its work.
        BaseSmartTurn.__init__(self, **kwargs)
        self._session = loaded._session
        self._log_data = False

    async def judge(self) -> TurnMetricsData | None:
        """Judge how probable it is that the turn is complete; None where nothing was heard.

        Unlike `analyze_end_of_turn` this forgets nothing, whatever comes out.
        """
        _, judgement = await asyncio.get_running_loop().run_in_executor(
            self._model_executor, self._process_speech_segment, [*self._audio_buffer]
        )
        return cast(TurnMetricsData | None, judgement)


class SpeechModels:
    """The weights that a process shares; hands out analyzers for single conversations."""

    def __init__(self) -> None:
        self._silero = SileroVADAnalyzer()
        # Only its weights are used; the thread that its constructor made is not.
        self._silero._executor.shutdown(wait=False)
        self._smart_turn = LocalSmartTurnAnalyzerV3(cpu_count=1)

    def vad(self, params: VADParams, *, max_speech_secs: float) -> SileroVAD:
        """Make a voice activity detector for one microphone; see `SileroVAD`."""
        return SileroVAD(self._silero, params, max_speech_secs=max_speech_secs)

    def smart_turn(self, **kwargs: Any) -> SmartTurn:
        """Make a detector of the end of a turn for one microphone."""
        return SmartTurn(self._smart_turn, **kwargs)
