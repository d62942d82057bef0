"""How words are written before a voice gets them."""

import pytest

from bots import callcenter, receptionist, sales
from bots.registry import BOTS_DIR
from bots.spoken_text import text_transforms
from processors.knowledge import Knowledge


async def spoken(text: str, language: str | None = None, **lexicon: str) -> str:
    for transform in text_transforms(lexicon, language):
        text = await transform(text, "sentence")
    return text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Parking** is _free_.", "Parking is free."),
        ("See [our page](https://x.example/a).", "See our page."),
        ("Great! 😀👍🏽", "Great! "),
        ("It is 20 °C.", "It is 20 °C."),
        ("That is $19.50.", "That is nineteen dollars and fifty cents."),
        ("Come on 2026-11-24.", "Come on November 24th, two thousand and twenty-six."),
        ("Write to hello@willowbrook.example.", "Write to hello at willowbrook dot example."),
        ("It is 5% more.", "It is five percent more."),
        ("Save it as CSV for NASA.", "Save it as CSV for NASA."),
        ("Call (555) 010-0142.", "Call 5 5 5 0 1 0 0 1 4 2."),
    ],
)
async def test_what_is_written_for_the_eye_is_spoken_for_the_ear(written: str, said: str) -> None:
    assert await spoken(written) == said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en-GB", "That is nineteen dollars and fifty cents."),
        ("de", "That is $19.50."),
    ],
)
async def test_no_english_is_put_into_the_mouth_of_another_voice(language: str, said: str) -> None:
    assert await spoken("**That** is $19.50. 😀", language) == f"{said} "


async def test_a_lexicon_says_how_words_are_spoken() -> None:
    lexicon = {"Okoye": "oh koy yay", "C++": r"see \1 plus"}
    assert await spoken("Doctor Okoye, not Okoyes.", **lexicon) == "Doctor oh koy yay, not Okoyes."


@pytest.mark.parametrize("bot", [receptionist.BOT, sales.BOT, callcenter.BOT])
async def test_facts_are_spoken_as_they_are_kept(bot) -> None:
    files = [BOTS_DIR / "knowledge" / name for name in (bot.knowledge, bot.offline_knowledge)]
    for text in (bot.greeting, *(fact.text for fact in Knowledge.from_files(*files).facts)):
        assert await spoken(text, **bot.lexicon) == text
