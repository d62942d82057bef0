"""What of a bot's words is changed before they are spoken; its memory keeps them as they are."""

import re
import unicodedata
from collections.abc import Mapping

from pipecat.utils.text.transforms import (
    TextTransform,
    VoiceFormatter,
    replace_text,
    strip_markdown,
)

FIRST_PICTURE = "\u2000"
"""Symbols before it, such as the degree sign, are spoken."""

INVISIBLE = "\u200d\ufe0e\ufe0f"
"""What joins pictures, and says in which form they are shown."""


def text_transforms(lexicon: Mapping[str, str], language: str | None) -> list[TextTransform]:
    """Return what a voice is to do with words before it speaks them, in this order.

    Pictures and markdown are left out. Amounts, dates, units, mail addresses and phone numbers are
    written as they are spoken in English; to a voice of another language they are left.

    Args:
        lexicon: Words, and how to write them so that they are spoken right.
        language: What the voice speaks; None for English.
    """
    said = [
        (rf"\b{re.escape(word)}\b", spoken.replace("\\", r"\\")) for word, spoken in lexicon.items()
    ]
    is_english = language is None or language.partition("-")[0] == "en"
    # Voices know themselves which capitals are a word.
    formatter = VoiceFormatter(normalize_acronyms=False) if is_english else strip_markdown
    return [without_pictures, *([replace_text(said)] if said else []), formatter]


async def without_pictures(text: str, _text_type: object) -> str:
    """Leave out emoji and other pictures."""
    return "".join(char for char in text if not _is_picture(char))


def _is_picture(char: str) -> bool:
    is_symbol = char >= FIRST_PICTURE and unicodedata.category(char) in ("So", "Sk")
    return is_symbol or char in INVISIBLE
