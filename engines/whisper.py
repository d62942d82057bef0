"""A Whisper model that all sessions of a process share.

Stock Whisper always encodes 30 s of audio; `WhisperEngine` encodes only as much as was spoken,
which is several times faster at the same word error rate.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel

from engines.reading import Reading

SAMPLE_RATE_HZ = 16_000
"""The only rate Whisper takes."""

FRAMES_PER_SECOND = 100
"""Mel frames a second: a hop of 160 samples at 16 kHz (Whisper paper, section 2.2)."""

MAX_FRAMES = 3_000
"""Whisper's full window: 30 s."""

MIN_FRAMES = 1_000
"""Shortest window: in shorter ones the model often repeats the sentence for ever (13 % of short
questions at 700 frames, 3 % at 1,000, which `plausible_tokens` catches)."""

TAIL_FRAMES = 200
"""Silence kept in the window after the speech, so that the last word is finished."""

MAX_TOKENS = 224
"""What Whisper itself decodes at most: half of its text context."""

MAX_NO_SPEECH_PROBABILITY = 0.6
"""Above this Whisper itself doubts that there was speech (the default of its own decoder)."""

SAID_BEFORE = " Hello. How can I help you?"
"""What Whisper takes to have been said before, in English. It goes on as that was written: without
it, it leaves out capital letters and marks of some short questions, and is less sure of an end."""

TRAILS = ("..", "...", " ...", "…", " …")
PUNCTUATION = ' .?!,;:…-"'

Samples: TypeAlias = npt.NDArray[np.float32]


def window_frames(speech_frames: int) -> int:
    """Return how many mel frames to encode for a segment of `speech_frames` mel frames."""
    return min(MAX_FRAMES, max(MIN_FRAMES, speech_frames + TAIL_FRAMES))


def plausible_tokens(speech_frames: int) -> int:
    """Return how many tokens can well have been spoken in so many mel frames.

    People say 2 to 3 words, about 4 tokens, a second; more is decoded again, more carefully,
    because it is usually the model repeating itself.
    """
    return 5 + 5 * speech_frames // FRAMES_PER_SECOND


class WhisperEngine:
    """A CTranslate2 Whisper model, loaded once and run on one thread of its own.

    Args:
        path: Directory with `model.bin`, `config.json` and `tokenizer.json`.
        threads: CPU threads for one decoding.

    Raises:
        RuntimeError: If CTranslate2 cannot load the model.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._model = WhisperModel(
            str(path), device="cpu", compute_type="int8", cpu_threads=threads, num_workers=1
        )
        self._trails = self._tokens(TRAILS)
        self._said_before = self._encode(SAID_BEFORE).tokens
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="whisper")
        self._pending = 0

    @property
    def busy(self) -> bool:
        """Whether it is at work or has work waiting: an interim transcript can be left out."""
        return self._pending > 0

    async def transcribe(self, samples: Samples, language: str) -> Reading:
        """Return the words in `samples` (16 kHz, mono, -1 to 1)."""
        loop = asyncio.get_running_loop()
        self._pending += 1
        try:
            return await loop.run_in_executor(self._executor, self._transcribe, samples, language)
        finally:
            self._pending -= 1

    def warm_up(self) -> None:
        """Run the model once, so that the first user does not wait for lazy set-up."""
        self._executor.submit(self._transcribe, np.zeros(SAMPLE_RATE_HZ, np.float32), "en").result()

    def close(self) -> None:
        """Stop the thread; a decoding that is under way is finished first."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _transcribe(self, samples: Samples, language: str) -> Reading:
        frames = len(samples) * FRAMES_PER_SECOND // SAMPLE_RATE_HZ
        limit = plausible_tokens(frames)
        # One more than plausible is decoded, to see whether the model would have gone on.
        result = self._generate(samples, language, window_frames(frames), limit + 1)
        if len(result.sequences_ids[0]) > limit:
            result = self._generate(samples, language, MAX_FRAMES, MAX_TOKENS)
        if result.no_speech_prob > MAX_NO_SPEECH_PROBABILITY:
            return Reading("")
        text = str(self._model.hf_tokenizer.decode(result.sequences_ids[0])).strip()
        return Reading(text, self._trails_behind(result))

    def _generate(
        self, samples: Samples, language: str, frames: int, limit: int
    ) -> ctranslate2.models.WhisperGenerationResult:
        """Generate up to `limit` tokens of what is said, with how likely all the others were."""
        hop = SAMPLE_RATE_HZ // FRAMES_PER_SECOND
        padded = np.pad(samples, (0, max(0, frames * hop - len(samples))))
        features = np.ascontiguousarray(self._model.feature_extractor(padded)[None, :, :frames])
        prompt = self._prompt(language)
        return self._model.model.generate(
            self._model.model.encode(ctranslate2.StorageView.from_array(features)),
            [prompt],
            beam_size=1,
            # CTranslate2 takes the length of the text context, of which the prompt is a part, and
            # half is for the result at most.
            max_length=limit + max(limit, len(prompt) - 1),
            return_no_speech_prob=True,
            return_logits_vocab=True,
        )[0]

    def _trails_behind(self, result: ctranslate2.models.WhisperGenerationResult) -> float | None:
        """Return how likely an ellipsis was behind the last word; None if not computed."""
        tokens, logits = result.sequences_ids[0], result.logits[0]
        words = len(tokens)
        while words and not self._model.hf_tokenizer.decode([tokens[words - 1]]).strip(PUNCTUATION):
            words -= 1
        if not words or words >= len(logits):
            return None
        scores = np.array(logits[words], np.float32).reshape(-1)
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        return float(probabilities[self._trails].sum())

    def _tokens(self, marks: Iterable[str]) -> list[int]:
        """Return the tokens that write one of these marks alone."""
        written = (self._encode(mark).ids for mark in marks)
        return [ids[0] for ids in written if len(ids) == 1]

    def _encode(self, text: str) -> Any:
        return self._model.hf_tokenizer.encode(text, add_special_tokens=False)

    def _prompt(self, language: str) -> list[str]:
        task = [f"<|{language}|>", "<|transcribe|>"] if self._model.model.is_multilingual else []
        before = ["<|startofprev|>", *self._said_before] if language == "en" else []
        return [*before, "<|startoftranscript|>", *task, "<|notimestamps|>"]


def pcm_to_samples(pcm: bytes) -> Samples:
    """Convert 16-bit PCM to float samples between -1 and 1."""
    return np.frombuffer(pcm, np.int16).astype(np.float32) / 32768.0
