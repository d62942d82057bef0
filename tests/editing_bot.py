"""A bot with changes of its own to what users say, and to what it says itself."""

import re

from bots.registry import Bot


def without_card_numbers(text: str) -> str:
    """Leave card numbers out of what a user says."""
    return re.sub(r"\d{4}( \d{4}){3}", "[card number]", text)


async def spelt(text: str, _text_type: object) -> str:
    """Have the clinic's name spelt."""
    return text.replace("WFC", "W F C")


BOT = Bot(
    description="For tests.",
    prompt="receptionist.md",
    greeting="Hello, this is nobody in particular.",
    text_transforms=(spelt,),
    transcript_filters=(without_card_numbers,),
)
