"""What of a user's words is changed when they are recognised, before anybody is told of them."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from bots.config import TranscriptConfig

TranscriptFilter: TypeAlias = Callable[[str], str]
"""Takes what was said, or what is known of it so far, and returns what is to be known of it. It
runs in the pipeline of a call, where it must not block."""

# "ER" is a room, and "uh-huh" an answer.
_FILLER = r"(?<![\w'-])(?:[Uu]h+|[Uu]h*m+|[Ee]r|[Ee]rm+)(?![\w'-])"
_TRAILING = re.compile(rf"[\s,.]*(?:{_FILLER}[\s,.…]*)+$")
_LEADING = re.compile(rf"(^|[.?!]\s+)((?:{_FILLER}[\s,.…]*)+)(\w?)")
_BETWEEN = re.compile(rf",?\s*{_FILLER}(?:\s*(?:,|…|\.\.\.))?(?=[\s?!])")

_PROFANITY = re.compile(
    r"""\b(?:
    (?:mother)?fuck(?:s|ed|er|ers|ing|wit|wits)? | (?:bull|horse)?shit(?:s|ty|ting|head|heads)?
    | bitch(?:es|y|ing)? | cunts? | assholes? | arseholes? | bastards? | dickheads?
    | cocksuck(?:er|ers|ing) | twats? | wank(?:s|er|ers|ing)? | sluts? | whores? | bollocks
    | (?:god)?damn(?:ed|it)? | piss(?:ed|ing)? | nigg(?:er|ers|a|as) | faggots? | retards?
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def without_fillers(text: str) -> str:
    """Leave out what English speakers say while they look for a word: "um", "uh", "er", "erm".

    At the end an ellipsis stays in their place: who says "um" goes on. Where nothing else was said,
    they stay.
    """
    kept = _LEADING.sub(_begin, _TRAILING.sub("...", text))
    kept = _BETWEEN.sub("", kept)
    return kept if re.search(r"\w", kept) else text


def _begin(beginning: re.Match[str]) -> str:
    before, filler, letter = beginning.groups()
    return before + (letter.upper() if filler[0].isupper() else letter)


def without_profanity(text: str) -> str:
    """Leave only the first letter of English swear words and slurs, and asterisks for the rest."""
    return _PROFANITY.sub(lambda word: word[0][0] + "*" * (len(word[0]) - 1), text)


def filter_transcripts(
    hearing: FrameProcessor,
    config: TranscriptConfig,
    own: Sequence[TranscriptFilter],
    *,
    language: str | None,
) -> None:
    """Have what a speech recognition tells of filtered: its transcripts, final and not.

    Where a filter of a bot's own fails, that is logged, and those behind it are left out.

    Args:
        hearing: The speech recognition, or a service that hears and speaks.
        config: What the settings ask for; of the languages, they know English.
        own: Filters of the bot's own, behind those.
        language: What users speak where a transcript does not say so; None for English.
    """
    english = [
        *([without_fillers] if config.drop_fillers else []),
        *([without_profanity] if config.mask_profanity else []),
    ]
    if not english and not own:
        return

    def filter_frame(_: FrameProcessor, frame: Frame) -> None:
        match frame:
            case InterimTranscriptionFrame() | EagerTranscriptionFrame() | TranscriptionFrame():
                is_english = (frame.language or language or "en").startswith("en")
                for change in (*(english if is_english else ()), *own):
                    frame.text = change(frame.text)

    hearing.add_event_handler("on_before_push_frame", filter_frame)
