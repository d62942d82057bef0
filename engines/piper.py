"""A Piper voice that all sessions of a process share, spoken in pieces as they are made.

Piper is GPL-3.0; this module is imported only when the `local` extra is installed and used.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import onnxruntime
import soxr
from piper import PiperConfig, PiperVoice, SynthesisConfig

from engines.kept import open_folder, replacing
from engines.vits_graph import SPEAKER, cut_file
from engines.word_places import word_places

FIRST_FRAMES = 20
"""Latent frames of the first piece: 0.23 s of sound at Piper's 86 frames a second."""

MAX_FRAMES = 80
"""Latent frames of the longest piece: 0.93 s. Each piece is twice as long as the one before, as
long as the other sessions' first sound does not have to wait for it (20 ms on one core)."""

OVERLAP_FRAMES = 14
"""Frames that are vocoded beside a piece, on both sides, so that it sounds as in one pass.

HiFi-GAN's largest form sees 13.3 frames far: 3 in the first convolution, 1 in each upsampling, 7.5
in the residual blocks after the first (kernel 11, dilations 1, 3, 5, at 8 samples a frame), and
less in those that follow. Piper's medium voices have a smaller one; they see 10 frames far.
"""

LEVEL_RMS = 0.15
"""Loudness of speech, with 1 for full scale: -16.5 dB. It is the mean (of 60 sentences) of what
Piper makes by raising the peak of each sentence to full scale, for which it has to have all of it;
here all sentences get one gain."""

TEST_WORD = "Ready."
"""What the gain is taken from; its level is that of a sentence (0.3 dB more, with one voice)."""

KNEE = 0.75
"""Samples above, one in a thousand, are bent towards 1 instead of clipped."""

LEAD_THRESHOLD = 0.001
"""Samples below are silence: -60 dB. Piper's own is at -90 dB; where a voice is noisier, nothing is
cut away. A soft consonant ("fifty", "half") rises from there to -40 dB in 20 to 40 ms."""

LEAD_KEPT_SECS = 0.002
"""Silence kept in front of a reply: enough for a soft begin at -60 dB."""

EVEN = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
"""Nothing left to chance: the gain is the same after each start."""

KEPT_PIECE_SECS = 0.2
"""Length of the pieces that kept sound is given out in."""

SAID_VERSION = "4"
"""To be raised when the same text would be spoken otherwise than before."""

Samples: TypeAlias = npt.NDArray[np.float32]

NOTHING = np.empty(0, np.float32)


def piece_end(start: int, total: int, size: int) -> int:
    """Return where a piece of `size` frames that begins at `start` of `total` ends.

    What would be left over as a piece of less than half that size is taken along.
    """
    end = start + size
    return end if total - end >= size // 2 else total


def bend(samples: Samples) -> Samples:
    """Keep samples between -1 and 1; those below `KNEE` stay as they are."""
    loud = np.abs(samples)
    bent = KNEE + (1 - KNEE) * np.tanh((loud - KNEE) / (1 - KNEE))
    return np.where(loud > KNEE, np.copysign(bent, samples), samples).astype(np.float32)


def without_lead(pieces: Iterator[Samples], rate_hz: int) -> Iterator[Samples]:
    """Yield a reply without the silence in front, which by chance may be a piece long or more."""
    begun = NOTHING
    for piece in pieces:
        begun = np.concatenate([begun, piece])
        if is_heard(begun).any():
            yield begun[lead_samples(begun, rate_hz) :]
            yield from pieces


def lead_samples(samples: Samples, rate_hz: int) -> int:
    """Return how many samples of silence a reply can do without at its start."""
    heard = is_heard(samples)
    first = int(np.argmax(heard)) if heard.any() else len(samples)
    return max(0, first - int(LEAD_KEPT_SECS * rate_hz))


def is_heard(samples: Samples) -> npt.NDArray[np.bool_]:
    """Return which samples are more than the hiss of a silence."""
    return np.abs(samples) > LEAD_THRESHOLD


def speech_rms(samples: Samples, rate_hz: int) -> float:
    """Return the level of the speech, without the silence around it."""
    size = rate_hz // 50
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.mean(np.square(windows), axis=1)
    return float(np.sqrt(np.mean(power[power > 0.01 * power.max()])))


class Speech:
    """A text being spoken: an iterator of 16-bit mono PCM that works only when it is asked.

    Args:
        pieces: Makes the PCM.
        executor: Where it is made. A piece is the unit of work: what others say comes in between.
        begins_at: Filled while it is made; see below.

    Attributes:
        begins_at: When the words of the text begin, which stand between spaces, in seconds of the
            sound: of those sentences that have begun, if the voice can tell.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        executor: ThreadPoolExecutor,
        begins_at: Sequence[float] = (),
    ) -> None:
        self.begins_at = begins_at
        self._pieces = pieces
        self._executor = executor
        self._next: Future[bytes | None] | None = None

    def start(self) -> None:
        """Have the next piece made before it is asked for."""
        if self._next is None:
            self._next = self._executor.submit(next, self._pieces, None)

    def cancel(self) -> None:
        """Do not make what was started; a piece that is under way is finished and dropped."""
        if self._next:
            self._next.cancel()

    def __aiter__(self) -> "Speech":
        return self

    async def __anext__(self) -> bytes:
        self.start()
        assert self._next
        future, self._next = self._next, None
        # If the consumer is cancelled, so is the piece it waits for.
        piece = await asyncio.wrap_future(future)
        if piece is None:
            raise StopAsyncIteration
        return piece


class Vocoder:
    """The second half of a voice, from latents to sound.

    Args:
        session: The model.
        speaker: Which one speaks, where the model knows several.
    """

    def __init__(self, session: onnxruntime.InferenceSession, speaker: int) -> None:
        self._session = session
        names = {value.name for value in session.get_inputs()}
        self._speaker = {name: np.array([speaker], np.int64) for name in names & {SPEAKER}}
        (self._latents,) = names - {SPEAKER}

    def render(self, latents: Samples, start: int = 0, end: int | None = None) -> Samples:
        """Return the sound of the frames from `start` to `end` of a sentence.

        Args:
            latents: All of the sentence: (channels, frames).
            start: First frame.
            end: The frame after the last one; all that follow if None.
        """
        end = latents.shape[1] if end is None else end
        first = max(0, start - OVERLAP_FRAMES)
        seen = latents[None, :, first : end + OVERLAP_FRAMES]
        sound: Samples = self._session.run(None, {self._latents: seen, **self._speaker})[0].ravel()
        frame = len(sound) // seen.shape[2]
        return sound[(start - first) * frame : (end - first) * frame]


class PiperEngine:
    """A Piper voice, loaded once, warmed, and run on one thread of its own.

    The thread is also what keeps espeak-ng safe, which turns text into phonemes and has one
    global state in a process. A voice that cannot be cut is spoken by whole sentences.

    Args:
        path: The voice's `.onnx` file; its `.onnx.json` lies beside it.
        kept: Directory where its halves are kept for the next start, and what is said often, if it
            can be written; it may be deleted at any time.
        threads: CPU threads for one inference.

    Raises:
        FileNotFoundError: If one of the two files is missing.
    """

    def __init__(self, path: Path, *, kept: Path, threads: int) -> None:
        self._config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text("utf-8")))
        self._said = open_folder(kept, path, "said", SAID_VERSION)
        self._vocoder: Vocoder | None = None
        front: Path | bytes = path
        if halves := cut_file(path, kept):
            front, vocoder = halves
            speaker = self._config.default_speaker_id
            self._vocoder = Vocoder(_session(vocoder, threads), speaker)
        self._voice = PiperVoice(session=_session(front, threads), config=self._config)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="piper")
        self._gain = self._executor.submit(self._measure_gain).result()

    def speak(self, text: str, *, rate_hz: int, speed: float = 1.0, trim: bool = False) -> Speech:
        """Return the spoken text as 16-bit mono PCM, in pieces that grow from 0.2 s.

        Args:
            text: What to say; nothing is done before the first piece is asked for.
            rate_hz: Sample rate wanted.
            speed: 1.0 is the voice's own pace, 2.0 twice as fast.
            trim: Whether to begin with the first sound, without the silence in front of it.
        """
        begins_at: list[float] = []
        pieces = self._pieces(text, rate_hz, speed, trim=trim, begins_at=begins_at)
        return Speech(pieces, self._executor, begins_at)

    async def keep(self, text: str, *, speed: float = 1.0) -> None:
        """Have the sound of a text kept on disk, so that replies that begin with it need not wait.

        Args:
            text: What will be said often; it is made unless it is there already.
            speed: As it will be said.
        """
        file = self._said_file(text, speed)
        if not file or file.exists():
            return
        speech = self.speak(text, rate_hz=self._config.sample_rate, speed=speed, trim=True)
        pcm = b"".join([piece async for piece in speech])
        with suppress(OSError):
            await asyncio.to_thread(_write, file, pcm, speech.begins_at)

    def close(self) -> None:
        """Stop the thread; a piece that is under way is finished first."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _measure_gain(self) -> float:
        test = np.concatenate(list(self._sound(TEST_WORD, EVEN, [])))
        return LEVEL_RMS / speech_rms(test, self._config.sample_rate)

    def _pieces(
        self, text: str, rate_hz: int, speed: float, *, trim: bool, begins_at: list[float]
    ) -> Iterator[bytes]:
        resampler = soxr.ResampleStream(self._config.sample_rate, rate_hz, 1, dtype="float32")
        kept = self._kept_samples(text, speed, begins_at) if trim else []
        for samples in kept or self._samples(text, speed, trim=trim, begins_at=begins_at):
            yield _pcm(resampler.resample_chunk(samples))
        rest = resampler.resample_chunk(NOTHING, last=True)
        if rest.size:
            yield _pcm(rest)

    def _kept_samples(self, text: str, speed: float, begins_at: list[float]) -> list[Samples]:
        """Return the sound of a text that begins a reply, in pieces; none if it is not kept."""
        file = self._said_file(text, speed)
        try:
            with np.load(file or "") as kept:
                samples = kept["pcm"].astype(np.float32) / 32767.0
                begins_at += kept["begins_at"].tolist()
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            # It is not there, or damaged.
            return []
        size = round(KEPT_PIECE_SECS * self._config.sample_rate)
        return np.split(samples, range(size, len(samples), size))

    def _said_file(self, text: str, speed: float) -> Path | None:
        name = hashlib.sha256(f"{speed} {text.strip()}".encode()).hexdigest()
        return self._said and self._said / f"{name}.npz"

    def _samples(
        self, text: str, speed: float, *, trim: bool, begins_at: list[float]
    ) -> Iterator[Samples]:
        """Make the sound of a text at the voice's own rate."""
        pace = SynthesisConfig(length_scale=self._config.length_scale / speed)
        words: list[int] = []
        made, left_out = 0, None

        def bent() -> Iterator[Samples]:
            nonlocal made
            for sound in self._sound(text, pace, words):
                made += len(sound)
                yield bend(sound * self._gain)

        for samples in without_lead(bent(), self._config.sample_rate) if trim else bent():
            if left_out is None:
                left_out = made - len(samples)
            new = words[len(begins_at) :]
            begins_at += [max(0, at - left_out) / self._config.sample_rate for at in new]
            yield samples

    def _sound(self, text: str, config: SynthesisConfig, words: list[int]) -> Iterator[Samples]:
        """Yield the sound of a text as the model makes it, quieter or louder than wanted.

        Args:
            text: What to say.
            config: How.
            words: Filled with the samples at which its words begin.
        """
        size, made = FIRST_FRAMES, 0
        sentences = [it for it in self._voice.phonemize(text) if it]
        places = word_places(text, sentences, self._voice.phonemize)
        for phonemes, begins in zip(sentences, places, strict=True):
            # It takes what the session's first output is for the sound: of a half, the latents.
            result, lengths = self._voice.phoneme_ids_to_audio(
                self._voice.phonemes_to_ids(phonemes), config, include_alignments=True
            )
            if lengths is not None:
                ends = made + np.cumsum([0, *lengths])
                words += [int(ends[self._ids_before(place, phonemes)]) for place in begins]
                made = int(ends[-1])
            if self._vocoder is None:
                yield result
                continue
            start, total = 0, result.shape[1]
            while start < total:
                end = piece_end(start, total, size)
                yield self._vocoder.render(result, start, end)
                start, size = end, min(2 * size, MAX_FRAMES)

    def _ids_before(self, place: int, phonemes: Sequence[str]) -> int:
        """Return how many of the model's inputs stand before a phoneme."""
        # There is an end behind them all.
        return len(self._voice.phonemes_to_ids(list(phonemes[:place]))) - 1


def _session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the core from the other models.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps what sentences of all lengths took: 100 to 300 MB that nobody needs.
    options.enable_cpu_mem_arena = False
    # Looking for buffers that can be used twice takes 0.8 s at start, and finds nothing.
    options.enable_mem_reuse = False
    return onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )


def _pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16).tobytes()


def _write(file: Path, pcm: bytes, begins_at: Sequence[float]) -> None:
    with replacing(file) as part:
        np.savez(part, pcm=np.frombuffer(pcm, np.int16), begins_at=np.array(begins_at))
