"""How much of a sentence has been heard, by the times at which a voice says its words."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    AggregatedTextProgressFrame,
    Frame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.services.tts_service import TTSService
from pipecat.utils.context.word_completion_tracker import WordCompletionTracker
from pipecat.utils.text.base_text_aggregator import TextType

SAMPLE_BYTES = 2


class HeardWords:
    """Puts the words of a sentence between the pieces of its sound, each behind its own.

    A voice that breaks off is followed by another, which begins anew; what is said a second time
    is told once.

    Args:
        text: The sentence, as it stands in the conversation.
        spoken: As it is given to the voices, which tell its words.
    """

    def __init__(self, text: str, spoken: str) -> None:
        self._text = text
        self._spoken = spoken
        self._told = 0
        self.begin()

    @property
    def told(self) -> str:
        """What has been told of the sentence."""
        return self._text[: self._told].strip()

    @property
    def rest(self) -> str:
        """What has not been told of the sentence."""
        return self._text[self._told :].strip()

    def begin(self) -> None:
        """Take that a voice begins to say it."""
        self._tracker = WordCompletionTracker(self._spoken, user_facing_text=self._text)
        self._heard_secs = 0.0
        self._last: str | None = None
        self._over: deque[tuple[float, str]] = deque()

    def word(self, word: str, begins_at: float) -> None:
        """Take the next word; the one before it is over by then.

        Args:
            word: As the voice tells it.
            begins_at: In the sound of the sentence, in seconds.
        """
        if self._last is not None:
            self._over.append((begins_at, self._last))
        self._last = word

    def sound(self, frame: TTSAudioRawFrame) -> Iterator[TTSAudioRawFrame | str]:
        """Yield the next sound in pieces, and between them those words that are over by then."""
        width = SAMPLE_BYTES * frame.num_channels
        total = len(frame.audio)
        begun_at, done = self._heard_secs, 0
        self._heard_secs += total / width / frame.sample_rate
        while self._over and self._over[0][0] <= self._heard_secs:
            at, word = self._over.popleft()
            end = min(max(done, round((at - begun_at) * frame.sample_rate) * width), total)
            if end > done:
                yield _piece(frame, done, end)
                done = end
            if text := self._tell(word):
                yield text
        if done < total:
            yield _piece(frame, done, total)

    def end(self) -> str:
        """Take that all of it is over, and return what was not told before."""
        rest, self._told = self.rest, len(self._text)
        return rest

    def _tell(self, word: str) -> str:
        """Return what of the text is told with a word, and was not before."""
        if not self._tracker.word_belongs_here(word):
            return ""
        self._tracker.add_word_and_check_complete(word)
        before, self._told = (
            self._told,
            max(self._told, len(self._tracker.get_accumulated_user_facing_text())),
        )
        return self._text[before : self._told].strip()


class TimedTTS(TTSService):
    """A voice that puts between its sound what has been heard by then.

    A subclass tells `_words` when words begin, and has them put between the sound. Where none is
    told of a sentence, all of it stands behind its sound.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sentence = AggregatedTextFrame("", "")
        self._words = HeardWords("", "")
        self._is_remembered = True

    def _as_frames(self, item: TTSAudioRawFrame | str, context_id: str) -> Iterator[Frame]:
        """Yield a piece of sound as a part of a reply; or that text has been heard, and how far."""
        if isinstance(item, TTSAudioRawFrame):
            item.context_id = context_id
            yield item
            return
        sentence = self._sentence
        word = TTSTextFrame(item, TextType.WORD, segment_id=sentence.id)
        word.context_id = context_id
        word.append_to_context = self._is_remembered
        yield word
        yield AggregatedTextProgressFrame(
            segment_id=sentence.id,
            context_id=context_id,
            text=sentence.text,
            text_type=sentence.text_type,
            accumulated_text=self._words.told,
            remaining_text=self._words.rest,
        )

    async def _register_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str
    ) -> None:
        self._sentence = src_frame
        self._words = HeardWords(src_frame.text, text)
        # Pipecat forgets it where no sound comes for a while, though another voice may go on.
        self._is_remembered = self._tts_contexts[context_id].append_to_context
        await super()._register_spoken_text(src_frame, text, context_id)

    async def _push_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str, append_to_context: bool
    ) -> None:
        if not self._words.told:
            await super()._push_spoken_text(src_frame, text, context_id, append_to_context)
            return
        if rest := self._words.end():
            for frame in self._as_frames(rest, context_id):
                await self.append_to_audio_context(context_id, frame)
        for frame in self._aggregated_frame_sequencer.complete_spoken_slot():
            await self.push_frame(frame)


def _piece(frame: TTSAudioRawFrame, start: int, end: int) -> TTSAudioRawFrame:
    return TTSAudioRawFrame(frame.audio[start:end], frame.sample_rate, frame.num_channels)
