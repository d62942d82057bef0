"""When a user's turn has ended, and its answer ahead of that."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from loguru import logger
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMRunFrame,
    MetricsFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import BaseUserTurnStopStrategy, NormalizedMatch
from pipecat.utils.utils import obj_id

from engines.reading import Reading
from processors.eager_turn import Holds, hold_secs, over_probability
from processors.output_pause import OutputPause
from processors.push_to_talk import NOTHING_SAID, FinalAudioFrame
from processors.speech_pause import PauseDetector
from processors.words_due import NothingSaidFrame, words_due_after
from processors.words_judge import WordsJudge

VAD_LATE_SECS = 0.15
"""How much later than it was the voice activity detector may take the last sound to be: Silero
takes three windows of 32 ms of silence for speech. A voice too faint for the level alone to tell it
from the room is trusted to it."""


SECOND_THOUGHT_SECS = 0.15
"""So long after the end of a turn any sound holds the answer back: it began before the answer could
be heard, 60 ms before it is noticed here, and the answer leaves 30 ms after the end."""

HELD_BACK_SECS = 0.3
"""Longest time for which sound alone holds the answer back: speech is known by then."""

STIRRING_SECS = 0.5
"""Longest time for which sound alone holds up the end of a turn: speech that begins softly is known
by then, and a room in which others talk is never quiet."""

STILL_SECS = 0.1
"""So long nothing stirs behind a sound that has held up the end of a turn: words that begin softly
come and go at first."""

LATE_SOUND_SECS = 0.2
"""Longest wait for sound that ought to be here: the line, or this machine, may be late with it."""


class TurnJudge(Protocol):
    """Judges by the sound whether a turn is complete; Smart Turn does."""

    def set_sample_rate(self, sample_rate: int) -> None:
        """Take the rate of the audio, in Hz."""

    def append_audio(self, buffer: bytes, is_speech: bool) -> object:
        """Take the next piece of audio, 16-bit PCM, mono."""

    def update_vad_start_secs(self, vad_start_secs: float) -> None:
        """Take how much speech there was before it was noticed, in seconds."""

    async def judge(self) -> TurnMetricsData | None:
        """Judge the turn as it is now; None if nothing was heard."""

    def clear(self) -> None:
        """Forget what was heard."""

    async def cleanup(self) -> None:
        """Free what it uses."""


ReadAlong: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]
"""Has the words said so far read by what will answer them. It is stopped as soon as it is known how
they go on."""

RELEASED_SECS = 0.5
"""The end of an utterance that comes at once may be here before its beginning is noticed."""


class EagerTurnStopStrategy(BaseUserTurnStopStrategy):
    """Ends a turn after a silence that is as long as the end is doubtful.

    The answer is made ahead, from the moment there are words and silence: Pipecat's gate holds it
    until the turn ends here, and it is withdrawn when the user goes on. `hold_secs` decides how
    long the silence lasts; the sound is judged once in each, at its beginning, since by and by
    every silence sounds like the end of a turn.

    Args:
        output: What the bot is paused by where the user goes on at the very moment at which the
            turn has ended, before the bot is heard.
        judge: Judges the sound of the user's last words.
        words_judge: Judges the words themselves; None where nothing can.
        read_along: Reads what the user says meanwhile; None where nothing can.
        holds: The silences to choose from.
        ahead_from: Probability that the turn is over from which its answer is made ahead. 0 is for
            a model that costs nothing: it need not wait for how the silence sounds.
        min_delay_secs: Silence before which no turn ends, in seconds.
        max_delay_secs: Silence after which a turn ends whatever is known of it, in seconds.
    """

    def __init__(
        self,
        output: OutputPause,
        *,
        judge: TurnJudge,
        words_judge: WordsJudge | None,
        read_along: ReadAlong | None,
        holds: Holds,
        ahead_from: float,
        min_delay_secs: float,
        max_delay_secs: float,
    ) -> None:
        super().__init__()
        self._output = output
        self._judge = judge
        self._words_judge = words_judge
        self._read_along = read_along
        self._holds = holds
        self._ahead_from = ahead_from
        self._min_delay_secs = min_delay_secs
        self._max_delay_secs = max_delay_secs
        self._match = NormalizedMatch()
        self._transcript_secs = 0.0
        self._turns = 0
        self._open = False
        self._ended_at = -math.inf
        self._thinking: asyncio.TimerHandle | None = None
        self._speaking = False
        self._silent_since: float | None = None
        # When the user has said themselves that they say no more.
        self._released_at = -math.inf
        self._segments: list[str] = []
        # Of so many pieces of speech no transcript has come yet.
        self._words_due = 0
        self._trails: float | None = None
        # What is answered ahead, or was before the answer was withdrawn.
        self._ahead_of: str | None = None
        self._speculation: UserTurnSpeculation | None = None
        # Frames with lower numbers are older than it.
        self._speculated_at = 0
        # Whether the answer made ahead is that of the turn which has ended.
        self._is_confirmed = False
        self._reading: asyncio.Task[None] | None = None
        # Hears silences before the voice activity detector is sure of them.
        self._pause: PauseDetector | None = None
        self._paused_since: float | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._has_heard = asyncio.Event()
        self._sound: asyncio.Task[float | None] | None = None
        self._transcribed = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Get ready for a call."""
        await super().setup(setup)
        self._judge.set_sample_rate(setup.audio_in_sample_rate)
        if self._words_judge:
            self._words_judge.setup(self.task_manager)
        self._pause = PauseDetector(setup.audio_in_sample_rate)

    async def cleanup(self) -> None:
        """Stop waiting."""
        await super().cleanup()
        self._stop_thinking()
        await self._stop_ending()
        await self._stop_reading()
        await self._stop_sound()
        await self._stop_words()
        await self._judge.cleanup()

    async def handle_user_turn_started(self) -> None:
        """Get ready for the end of the turn that starts."""
        await self._forget()
        self._words_due = int(self._speaking)
        self._is_confirmed = False
        if self._released_at < _now() - RELEASED_SECS:
            self._released_at = -math.inf
        self._turns += 1
        self._open = True

    async def handle_user_turn_stopped(self) -> None:
        """Forget the turn that has ended, whoever ended it."""
        await self._withdraw()
        await self._forget()
        self._open = False
        self._released_at = -math.inf
        self._ended_at = _now()
        self._judge.clear()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Look at a frame; the turn may end some time after it."""
        match frame:
            case STTMetadataFrame():
                self._transcript_secs = frame.ttfs_p99_latency
            case InputAudioRawFrame():
                self._judge.append_audio(frame.audio, self._speaking)
                await self._hear(frame.audio)
                if isinstance(frame, FinalAudioFrame):
                    await self._release()
            case VADUserStartedSpeakingFrame():
                self._speaking = True
                self._words_due += 1
                self._paused_since = None
                self._judge.update_vad_start_secs(frame.start_secs)
                # The silence that comes has words of its own.
                self._transcribed.clear()
                await self._stop_ending()
                await self._withdraw()
            case VADUserStoppedSpeakingFrame():
                self._speaking = False
                noticed_secs = time.time() - frame.timestamp
                self._silent_since = self._last_sound(_now() - noticed_secs - frame.stop_secs)
                await self._start_ending()
            case InterruptionFrame():
                # By what the client has written, in the midst of the turn.
                self._speculation = None
                self._is_confirmed = False
            case EagerEndOfTurnCancelFrame() if frame.id > self._speculated_at:
                # Others have withdrawn the answer made ahead, and told everybody: the speech goes
                # on, or the answer calls a tool. The same words are not answered ahead again.
                self._speculation = None
                if self._is_confirmed and frame.broadcast_sibling_id is not None:
                    # What answers has found that it calls a tool, before it knew of the end.
                    self._is_confirmed = False
                    await self.push_frame(LLMRunFrame())
            case InterimTranscriptionFrame() if self._open:
                said = self._said_with(frame.text)
                if self._words_judge:
                    self._words_judge.hear(said)
                self._read_on(said)
            case EagerTranscriptionFrame():
                if not self._speculation:
                    self._ahead_of = None
                self._trails = _trails_in(frame.result)
                await self._have_judged(frame.text)
                if not self._ahead_from:
                    await self._speculate(frame.text)
            case TranscriptionFrame():
                await self._handle_transcript(frame)
            case NothingSaidFrame():
                await self._have_words(finalized=True)
        return ProcessFrameResult.CONTINUE

    async def _release(self) -> None:
        """End the turn as soon as it is known what was said; tell the client if nothing was."""
        self._released_at = _now()
        if not self._speaking and not self._open:
            await self.push_frame(RTVIServerMessageFrame({"type": NOTHING_SAID}))
        elif not self._speaking:
            await self._start_ending()

    async def _handle_transcript(self, frame: TranscriptionFrame) -> None:
        if frame.text.strip():
            self._segments.append(frame.text)
        self._trails = _trails_in(frame.result)
        if not self._speaking:
            await self._have_judged("")
            if not self._ahead_from:
                await self._speculate("")
        await self._have_words(finalized=frame.finalized)

    async def _have_words(self, *, finalized: bool) -> None:
        """Think about the end again: it is known what was said, if that is all of it."""
        self._words_due = words_due_after(finalized=finalized, before=self._words_due)
        if self._speaking:
            return
        if finalized and not self._words_due:
            self._transcribed.set()
        await self._start_ending()

    async def _have_judged(self, text: str) -> None:
        """Have the words of the turn so far, and `text` behind them, judged."""
        if self._words_judge and self._open:
            await self._words_judge.hear_out(self._said_with(text))

    async def _speculate(self, text: str) -> None:
        """Have the turn so far, and `text` behind it, answered ahead of its end."""
        said = self._said_with(text)
        if not self._open or not said:
            return
        if self._ahead_of and self._match.matches(self._ahead_of, said):
            return
        await self._withdraw()
        await self._stop_reading()
        self._ahead_of = said
        self._speculation = UserTurnSpeculation(text=said)
        self._speculated_at = obj_id()
        await self.trigger_user_turn_inference_triggered(speculation=self._speculation)

    def _said_with(self, text: str) -> str:
        """Return what was said in this turn, and `text` behind it."""
        return " ".join([*self._segments, text]).strip()

    def _read_on(self, said: str) -> None:
        """Have the words read while the user speaks, so that few are left to read at the end."""
        if self._read_along and not self._speculation and not self._reading:
            self._reading = self.task_manager.create_task(
                self._read_along(said), f"{self}::reading"
            )
            self._reading.add_done_callback(self._have_read)

    def _have_read(self, _: object) -> None:
        self._reading = None

    async def _start_ending(self) -> None:
        await self._stop_ending()
        if self._open:
            # Speech may have been too faint for the voice activity detector.
            since = self._silent_since or _now()
            self._ending = self.task_manager.create_task(self._end(since), f"{self}::ending")

    async def _end(self, silent_since: float) -> None:
        """End the turn, if the silence lasts for as long as the end is doubtful."""
        await self._wait_for_transcript(silent_since)
        if self._released_at > -math.inf:
            self._ending = None
            return await self._stop_turn()
        if not self._segments:
            # There is nothing to answer. Words may still come, and end the turn then.
            self._ending = None
            return
        said = self._said_with("")
        sound = await self._judged_sound()
        words = await self._judged_words(said, silent_since)
        over = over_probability(said, trails=self._trails, words=words, sound=sound)
        if over >= self._ahead_from:
            # It may be under way, unless a noise has withdrawn it.
            await self._speculate("")
        hold = max(hold_secs(self._holds, over), self._min_delay_secs)
        hold = min(hold, self._max_delay_secs)
        logger.debug(
            "the turn is over with {:.2f} (trails {}, words {}, sound {}): it ends after {:.2f} s",
            *(over, self._trails, words, sound, hold),
        )
        await asyncio.sleep(max(0.0, silent_since + hold - _now()))
        await self._until_heard(silent_since + hold)
        await self._until_still(max(0.0, silent_since + self._max_delay_secs - _now()))
        # From here on the end is not to be stopped, only to be found refused.
        self._ending = None
        await self._stop_turn()

    async def _until_still(self, longest_secs: float) -> None:
        """Wait while the user may have begun to speak, but not for long enough to be noticed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(longest_secs, STIRRING_SECS)):
                while not self._quiet.is_set():
                    await self._quiet.wait()
                    await asyncio.sleep(STILL_SECS)

    async def _until_heard(self, at: float) -> None:
        """Wait until the sound of that time has been heard: the user may speak again in it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_SOUND_SECS):
                while self._paused_since is not None and self._heard_until < at:
                    self._has_heard.clear()
                    await self._has_heard.wait()

    @property
    def _heard_until(self) -> float:
        """When the last sound was that has been heard, if it came as soon as the pause did."""
        assert self._pause
        assert self._paused_since is not None
        return self._paused_since + self._pause.paused_secs

    async def _hear(self, audio: bytes) -> None:
        """Notice where a silence begins and ends, and have the sound judged at its beginning."""
        assert self._pause
        was_paused, was_quiet = self._pause.paused, self._quiet.is_set()
        self._pause.hear(audio)
        self._has_heard.set()
        if self._pause.paused and not self._pause.stirs:
            self._quiet.set()
        else:
            self._quiet.clear()
        if self._quiet.is_set() != was_quiet and not self._speaking:
            self._think_again()
        if self._pause.paused and not was_paused:
            self._paused_since = _now() - self._pause.paused_secs
            if self._open:
                await self._stop_sound()
                self._sound = self.task_manager.create_task(self._judge_sound(), f"{self}::sound")
        elif was_paused and not self._pause.paused:
            self._paused_since = None
            await self._stop_sound()

    def _think_again(self) -> None:
        """Hold the answer back where the user may go on; let it go where that was but a click."""
        self._stop_thinking()
        if self._quiet.is_set():
            self._let_answer()
        elif _now() - self._ended_at < SECOND_THOUGHT_SECS:
            self._output.pause()
            loop = asyncio.get_running_loop()
            self._thinking = loop.call_later(HELD_BACK_SECS, self._let_answer)

    def _let_answer(self) -> None:
        """Let the answer go, unless there is speech: then it is for who starts turns to decide."""
        if not self._speaking:
            self._output.resume()

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking.cancel()
            self._thinking = None

    def _last_sound(self, noticed: float) -> float:
        """Return when the last sound was, from what the voice activity detector has noticed.

        It may notice a silence too late; or too early, since a "t" at the end is no voice.
        """
        if self._paused_since is None:
            return noticed
        return max(self._paused_since, noticed - VAD_LATE_SECS)

    async def _judged_sound(self) -> float | None:
        """Return how the silence sounds at its beginning, or now if that was not noticed."""
        judging = self._sound
        if not judging:
            return await self._judge_sound()
        await asyncio.wait({judging}, timeout=self._holds.sure)
        # It is stopped where the user goes on.
        return judging.result() if judging.done() and not judging.cancelled() else None

    async def _judged_words(self, said: str, silent_since: float) -> float | None:
        """Return how the words are judged, if that is known before a doubtful turn would end."""
        if not self._words_judge:
            return None
        left = max(0.0, silent_since + self._holds.likely - _now())
        return await self._words_judge.judged(said, timeout_secs=left)

    async def _judge_sound(self) -> float | None:
        judgement = await self._judge.judge()
        if not judgement:
            return None
        await self.push_frame(MetricsFrame(data=[judgement]))
        return judgement.probability

    async def _wait_for_transcript(self, silent_since: float) -> None:
        """Wait until the transcript is final, or ought to be.

        The beginning of what was said is not answered for want of the rest, as long as that may be.
        """
        late = silent_since + self._transcript_secs
        if self._segments and self._words_due:
            late = max(late, silent_since + self._max_delay_secs)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._transcribed.wait(), max(0.0, late - _now()))

    async def _stop_turn(self) -> None:
        if self._speaking:
            return
        speculation = self._speculation
        if not speculation or not self._match.matches(speculation.text, self._said_with("")):
            await self._withdraw()
            await self.trigger_user_turn_stopped()
            return
        turn = self._turns
        # What is confirmed must not be withdrawn at the end of the turn.
        self._speculation = None
        self._is_confirmed = True
        await self.trigger_user_turn_finalized(confirms_speculation=True)
        if self._open and self._turns == turn:
            # The user speaks again, at this very moment: the turn goes on.
            self._is_confirmed = False
            self._speculation = speculation
            await self._withdraw()

    async def _withdraw(self) -> None:
        """Take the answer back that was made ahead."""
        self._ahead_of = None
        if self._speculation:
            self._speculation = None
            await self.trigger_user_turn_speculation_cancelled()

    async def _forget(self) -> None:
        await self._stop_ending()
        await self._stop_sound()
        await self._stop_words()
        self._segments = []
        self._trails = None
        self._ahead_of = None
        self._speculation = None
        self._silent_since = None
        self._transcribed.clear()

    async def _stop_reading(self) -> None:
        if self._reading:
            await self.task_manager.cancel_task(self._reading)

    async def _stop_sound(self) -> None:
        if self._sound:
            task, self._sound = self._sound, None
            await self.task_manager.cancel_task(task)

    async def _stop_words(self) -> None:
        if self._words_judge:
            await self._words_judge.stop()

    async def _stop_ending(self) -> None:
        if self._ending:
            task, self._ending = self._ending, None
            await self.task_manager.cancel_task(task)


def _trails_in(result: object) -> float | None:
    """Return how likely the speech recognition would write an ellipsis, if it is one that tells."""
    return result.trails if isinstance(result, Reading) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
