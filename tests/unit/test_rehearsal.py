from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)

from processors.rehearsal import Rehearsal


async def prepared_of(*texts: str, ends: bool = True) -> list[str]:
    prepared: list[str] = []
    rehearsal = Rehearsal(prepared.append)
    await rehearsal.follow(LLMFullResponseStartFrame())
    for text in texts:
        await rehearsal.follow(LLMTextFrame(text))
    if ends:
        await rehearsal.follow(LLMFullResponseEndFrame())
    return prepared


async def test_the_first_clause_is_prepared_as_soon_as_it_is_written() -> None:
    reply = ["On Saturday, ", "we are open ", "from nine"]
    assert await prepared_of(*reply, ends=False) == ["On Saturday,"]


async def test_nothing_else_of_a_reply_is_prepared() -> None:
    reply = ["On Saturday, we are open. ", "Do come. ", "See you then, I hope."]
    assert await prepared_of(*reply) == ["On Saturday,"]


async def test_a_reply_of_one_clause_is_prepared_at_its_end() -> None:
    assert await prepared_of("We are", " open", ends=False) == []
    assert await prepared_of("We are", " open") == ["We are open"]


async def test_each_reply_begins_anew() -> None:
    prepared: list[str] = []
    rehearsal = Rehearsal(prepared.append)
    for reply in ("Half a sen", "Yes. "):
        await rehearsal.follow(LLMFullResponseStartFrame())
        await rehearsal.follow(LLMTextFrame(reply))
    await rehearsal.follow(LLMFullResponseEndFrame())
    assert prepared == ["Yes."]
