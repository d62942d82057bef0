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


async def expecting(reply: str, *texts: str) -> list[str]:
    prepared: list[str] = []
    rehearsal = Rehearsal(prepared.append)
    await rehearsal.expect(reply)
    await rehearsal.follow(LLMFullResponseStartFrame())
    for text in texts:
        await rehearsal.follow(LLMTextFrame(text))
    return prepared


async def test_the_first_clause_of_a_reply_that_is_expected_is_prepared_at_its_first_word() -> None:
    assert await expecting("On Saturday, we are open from nine.") == []
    assert await expecting("On Saturday, we are open from nine.", "On") == ["On Saturday,"]
    assert await expecting("Parking is free.", "Parking", " is") == ["Parking is free."]


async def test_what_is_expected_is_not_prepared_where_the_reply_begins_otherwise() -> None:
    assert await expecting("Parking is free.", "You") == []
    assert await expecting("Parking is free.", "You ", "Parking") == []
    assert await expecting("", "You") == []
