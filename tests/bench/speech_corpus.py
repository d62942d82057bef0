"""Speech to measure with: what callers say, by synthetic voices, with pauses where people hesitate.

A sentence with a pause is spoken in one go and then cut, so that its first part sounds like a
sentence that goes on. Rendered speech is kept in the machine's directory for temporary files.
"""

import hashlib
import json
import re
import subprocess
import tempfile
import tomllib
import wave
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import soxr
from piper import PiperConfig, PiperVoice, SynthesisConfig

from bots.models import ModelStore, default_models_dir, load_manifest

SAMPLE_RATE_HZ = 16_000
"""Of everything here, unless it is said otherwise."""

CORPUS = Path(__file__).parent / "corpus"
CORPORA = ("tuning", "held_out", "fresh")
CACHE = Path(tempfile.gettempdir()) / "parlante-speech"

LEAD_SECS = 0.3
"""Room tone before the speech."""

ROOM_TONE_RMS = 6
"""Of 16-bit samples, -75 dBFS: a quiet line, but not a digital one, which voices never come on."""

SPEECH_RMS = 1640
"""Of the voiced samples, -26 dBFS: the level at which telephony is tested (ITU-T P.56)."""

WINDOW = SAMPLE_RATE_HZ // 200
"""Samples between two looks at the energy: 5 ms."""

VOICED_DB = -35.0
"""A window is voiced if it is above this, against the mean of the loudest tenth."""

CUT_SEARCH = SAMPLE_RATE_HZ * 15 // 1000
"""How far from the boundary between two sounds the quietest sample is looked for: 15 ms."""

SOUNDS_UNLIKE = 2
"""How many sounds of a sentence's first words may be others when they are said alone (the "a" of
"the", a tapped "t"); if there are more, the boundary is not known."""

FADE = SAMPLE_RATE_HZ // 200
"""Samples of a fade at a cut: 5 ms, so that it does not click."""

Pcm = npt.NDArray[np.int16]
Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where a speaker would hesitate.

    Attributes:
        before: What is said up to there.
        hard: Whether that could be all.
    """

    before: str
    hard: bool


@dataclass(frozen=True)
class Utterance:
    """What a caller says in one turn."""

    text: str
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Voice:
    """A synthetic voice.

    Attributes:
        engine: piper, flite or espeak-ng.
        name: Its name there.
        speed: 1.0 is the voice's own pace, 2.0 twice as fast.
    """

    engine: str
    name: str
    speed: float = 1.0

    def __str__(self) -> str:
        return f"{self.name}@{self.speed}"


TURN_VOICES = (
    Voice("piper", "piper-joe"),
    Voice("flite", "slt"),
    Voice("flite", "rms", 1.15),
    Voice("piper", "piper-joe", 1.25),
    Voice("flite", "awb"),
    Voice("piper", "piper-joe", 0.85),
)
"""Those that tell when they say which sound, so that they can be cut between two words."""

VOICES = (
    *TURN_VOICES,
    Voice("espeak-ng", "en-us+f3", 0.95),
    Voice("espeak-ng", "en-gb+m3", 1.1),
)
"""Debian has flite and espeak-ng; the Piper voice is an offline model."""

DURATIONS_OUTPUT = b"\x3a\x12\x62\x10\x0a\x0e/Ceil_output_0"
"""Appended to a Piper voice, has it tell how long each phone is: protobuf merges this
`ModelProto {graph {output {name: "/Ceil_output_0"}}}` into the model before it."""

PIPER_EARLY_SECS = 0.03
"""How much earlier than at the boundary the next word of Piper's is heard: found by transcribing
what is before 118 cuts; in 13 of them there was more than should be, with this in 3."""

WORDS_A_MINUTE = 165
"""How fast espeak-ng speaks at a speed of 1."""


@dataclass(frozen=True)
class Take:
    """An utterance as a voice said it.

    Attributes:
        pcm: Room tone, the speech, and how it dies away: without that it sounds unfinished.
        end: The sample after the last voiced one.
        cuts: The sample at which each of the utterance's places is; None where it is not known.
    """

    pcm: Pcm
    end: int
    cuts: tuple[int | None, ...]


@dataclass(frozen=True)
class Sound:
    """A phone, and from when to when it is heard, in seconds."""

    phone: str
    start: float
    end: float


def load(name: str) -> list[Utterance]:
    """Read one of `CORPORA`."""
    groups = tomllib.loads((CORPUS / f"{name}.toml").read_text("utf-8"))
    return [parse(entry["text"]) for group in groups.values() for entry in group]


def load_words() -> list[str]:
    """Read the sentences for the word error rate."""
    sentences: list[str] = tomllib.loads((CORPUS / "words.toml").read_text("utf-8"))["sentences"]
    return sentences


def parse(marked: str) -> Utterance:
    """Read a text in which | is a place and || a hard one."""
    pieces = re.split(r" (\|\|?) ", marked)
    parts, marks = pieces[::2], pieces[1::2]
    places = tuple(
        Place(" ".join(parts[: i + 1]), hard=mark == "||") for i, mark in enumerate(marks)
    )
    return Utterance(" ".join(parts), places)


class Studio:
    """Has voices say utterances; always the same samples for the same text."""

    def __init__(self) -> None:
        self._pipers: dict[str, PiperVoice] = {}
        self._store = ModelStore(default_models_dir(), load_manifest())
        CACHE.mkdir(parents=True, exist_ok=True)

    def take(self, utterance: Utterance, voice: Voice) -> Take:
        """Return the utterance as one of `TURN_VOICES` says it, and where its places are."""
        spoken, sounds = self._render(utterance.text, voice)
        first, last = _voiced(spoken)
        lead = room_tone(LEAD_SECS)
        pcm = np.concatenate([lead, _level(spoken[first:])])
        cuts = []
        for place in utterance.places:
            gap = boundary(sounds, self._phones(place.before, voice))
            if gap:
                start, end = (round(s * SAMPLE_RATE_HZ) - first + len(lead) for s in gap)
                cuts.append(quietest(pcm, start - CUT_SEARCH, end + CUT_SEARCH))
            else:
                cuts.append(None)
        return Take(pcm, len(lead) + last - first, tuple(cuts))

    def say(self, text: str, voice: Voice) -> Pcm:
        """Return the voice saying a text, from the first voiced sample until it is silent."""
        spoken, _ = self._render(text, voice)
        return _level(spoken[_voiced(spoken)[0] :])

    def _render(self, text: str, voice: Voice) -> tuple[Pcm, list[Sound]]:
        key = hashlib.sha256(f"{voice.engine} {voice} {text}".encode()).hexdigest()[:24]
        kept = CACHE / f"{key}.npz"
        if not kept.exists():
            engines = {"piper": self._piper, "flite": self._flite, "espeak-ng": self._espeak}
            pcm, sounds = engines[voice.engine](text, voice)
            part = kept.with_suffix(".part")
            with part.open("wb") as file:
                np.savez(file, pcm=pcm, sounds=json.dumps([astuple(sound) for sound in sounds]))
            part.replace(kept)
        with np.load(kept) as found:
            return found["pcm"], [Sound(*sound) for sound in json.loads(str(found["sounds"]))]

    def _phones(self, text: str, voice: Voice) -> list[str]:
        if voice.engine == "piper":
            sentences = self._open_piper(voice.name).phonemize(text)
            return [phone for phones in sentences for phone in phones if _is_sound(phone)]
        return [sound.phone for sound in self._flite(text, voice)[1]]

    def _piper(self, text: str, voice: Voice) -> tuple[Pcm, list[Sound]]:
        piper = self._open_piper(voice.name)
        # Without noise it says a text the same way each time.
        config = SynthesisConfig(length_scale=1 / voice.speed, noise_scale=0.0, noise_w_scale=0.0)
        chunks = list(piper.synthesize(text, config, include_alignments=True))
        sounds, at = [], -PIPER_EARLY_SECS
        for chunk in chunks:
            for phone in chunk.phoneme_alignments or []:
                secs = phone.num_samples / chunk.sample_rate
                if _is_sound(phone.phoneme):
                    sounds.append(Sound(phone.phoneme, at, at + secs))
                at += secs
        said = np.frombuffer(b"".join(c.audio_int16_bytes for c in chunks), np.int16)
        return _resample(said, piper.config.sample_rate, SAMPLE_RATE_HZ), sounds

    def _flite(self, text: str, voice: Voice) -> tuple[Pcm, list[Sound]]:
        stretch = f"duration_stretch={1 / voice.speed:.3f}"
        command = ["flite", "-voice", voice.name, "--setf", stretch, "-psdur", "-t", text, "-o"]
        pcm, printed = _run(command)
        sounds, at = [], 0.0
        for phone, _, until in (entry.partition(":") for entry in printed.split()):
            if phone != "pau":
                sounds.append(Sound(phone, at, float(until)))
            at = float(until)
        return pcm, sounds

    def _espeak(self, text: str, voice: Voice) -> tuple[Pcm, list[Sound]]:
        pace = str(round(WORDS_A_MINUTE * voice.speed))
        return _run(["espeak-ng", "-v", voice.name, "-s", pace, text, "-w"])[0], []

    def _open_piper(self, name: str) -> PiperVoice:
        if name not in self._pipers:
            path = self._store.file(name)
            config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text("utf-8")))
            session = onnxruntime.InferenceSession(
                path.read_bytes() + DURATIONS_OUTPUT, providers=["CPUExecutionProvider"]
            )
            self._pipers[name] = PiperVoice(session=session, config=config)
        return self._pipers[name]


def boundary(sounds: Sequence[Sound], first: Sequence[str]) -> tuple[float, float] | None:
    """Return from when to when it is between words, in seconds.

    Args:
        sounds: A whole sentence.
        first: The phones of its first words, said alone.
    """
    count = len(first)
    unlike = sum(sound.phone != phone for sound, phone in zip(sounds, first, strict=False))
    if not 0 < count < len(sounds) or unlike > SOUNDS_UNLIKE:
        return None
    return sounds[count - 1].end, sounds[count].start


def quietest(pcm: Pcm, start: int, end: int) -> int:
    """Return the sample between two at which it is quietest."""
    start = max(0, start)
    return start + int(np.argmin(_levels(pcm[start:end]))) * WINDOW + WINDOW // 2


def with_pause(take: Take, cut: int, pause_ms: int) -> tuple[Pcm, int, int]:
    """Stretch the silence at a cut.

    Returns:
        The samples, the sample at which the pause begins, and the one at which speech goes on.
    """
    before, after = _fade(take.pcm[:cut], out=True), _fade(take.pcm[cut:], out=False)
    begins, quiet_after = _voiced(before)[1], _voiced(after)[0]
    there_is = cut - begins + quiet_after
    pause = room_tone(max(0, pause_ms * SAMPLE_RATE_HZ // 1000 - there_is) / SAMPLE_RATE_HZ)
    return np.concatenate([before, pause, after]), begins, cut + len(pause) + quiet_after


def room_tone(secs: float) -> Pcm:
    """Return what a quiet line sounds like."""
    noise = np.random.default_rng(1).normal(0, ROOM_TONE_RMS, round(secs * SAMPLE_RATE_HZ))
    return noise.astype(np.int16)


def to_48_khz(pcm: Pcm) -> Pcm:
    """Return the samples at the rate of WebRTC."""
    return _resample(pcm, SAMPLE_RATE_HZ, 48_000)


def _is_sound(phone: str) -> bool:
    """Whether it is a phone, and no mark of Piper's for stress, length or a pause."""
    return phone.isalpha() and phone not in "ˈˌː"


def _run(command: list[str]) -> tuple[Pcm, str]:
    """Run a program that writes a WAV file, and return that and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "said.wav"
        done = subprocess.run(
            [*command, str(out)], check=True, timeout=30, capture_output=True, text=True
        )
        return _read_wav(out), done.stdout


def _read_wav(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return _resample(samples, file.getframerate(), SAMPLE_RATE_HZ)


def _resample(pcm: Pcm, rate: int, to: int) -> Pcm:
    resampled: Pcm = soxr.resample(pcm, rate, to)
    return resampled


def _levels(pcm: Pcm) -> Samples:
    """Return the level of each window, in dB."""
    windows = pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    levels: Samples = 10 * np.log10(np.mean(np.square(windows), axis=1) + 1)
    return levels


def _voiced(pcm: Pcm) -> tuple[int, int]:
    """Return the first voiced sample, and the one after the last."""
    levels = _levels(pcm)
    loud = np.mean(np.sort(levels)[-max(1, len(levels) // 10) :])
    found = np.flatnonzero(levels > loud + VOICED_DB)
    return int(found[0]) * WINDOW, (int(found[-1]) + 1) * WINDOW


def _level(pcm: Pcm) -> Pcm:
    samples = pcm.astype(np.float64)
    levels = _levels(pcm)
    loud = np.repeat(levels > levels.max() - 30, WINDOW)
    rms = np.sqrt(np.mean(np.square(samples[: len(loud)][loud])))
    return np.clip(samples * SPEECH_RMS / rms, -32768, 32767).astype(np.int16)


def _fade(pcm: Pcm, *, out: bool) -> Pcm:
    ramp = np.linspace(1, 0, FADE) if out else np.linspace(0, 1, FADE)
    faded = pcm.astype(np.float64)
    where = slice(-FADE, None) if out else slice(0, FADE)
    faded[where] *= ramp
    return faded.astype(np.int16)
