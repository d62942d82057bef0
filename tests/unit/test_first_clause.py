import pytest

from processors.first_clause import FirstClauseAggregator, draft_of, first_clause_end

CUT = [
    "Sure,| I can help you with that.",
    "Yes,| we do.",
    "Of course,| we are happy to help you with your booking.",
    "I'm sorry,| but we are closed on Sunday.",
    "Hello, |this is the reception.",
    "It costs 1,200 dollars,| and you can pay by card.",
    "If you are a new patient,| please arrive ten minutes early.",
    "We open at 8:30 a.m.,| except on Sunday.",
    "Dr. Miller is on leave,| so Dr. Jones will see you.",
    "We have no slot today;| tomorrow is fine.",
    "Here is what to bring:| your card and a list of your medicines.",
    "Thank you —| goodbye.",
    "Thank you—|goodbye.",
    "That sounds good -| see you then.",
    "We are open from Monday to Friday| and we are closed on the weekend.",
    "I can book that for you| but I need your name first.",
    "The doctor will see you on Tuesday| so please bring your card.",
    "You can park behind the building| which is free for patients.",
    "There is nobody here right now| because it is a holiday.",
    '"Tuesday, ten o\'clock" is free,| is that good?',
    "Our team (Dr. Lee, Dr. Fox) is here,| come in.",
]

WHOLE = [
    "We are open from Monday to Friday.",
    "It costs 1,200 dollars.",
    "We open at 5:30 in the morning.",
    "On March 5, 2026 we are closed.",
    "There are 2, 3 or 4 left.",
    "We are in room No. 5 on the left.",
    "Dr. Miller is here at 8 a.m. on Monday.",
    "It is a big, bright room.",
    "Please ask Tom and Mary about it.",
    "We are open on Tuesday and Thursday afternoon.",
    "We are open Monday - Friday.",
    "You can pay by card or in cash.",
    "He is here but I am not.",
    "There are about one hundred and they are free.",
    "I would like to know which day suits you.",
    "I will ask him about the and so on.",
    'He told me "yes, please" twice.',
    "Our team (Dr. Lee, Dr. Fox) is here.",
    "Somebody else will be here at 5:30 and you can ask.",
]

REPLIES = {
    "Sure, I can help. When do you want to come, and who is it for?": [
        "Sure,",
        "I can help.",
        "When do you want to come, and who is it for?",
    ],
    "Yes! We are, of course.": ["Yes!", "We are, of course."],
    "We are open. Come in, please.": ["We are open.", "Come in, please."],
    "Ask for Dr. Lee. He is in.": ["Ask for Dr. Lee.", "He is in."],
    "It is No. 5 on the left. Thanks.": ["It is No. 5 on the left.", "Thanks."],
    "We open at 8 a.m. Monday to Friday. Come in.": [
        "We open at 8 a.m. Monday to Friday.",
        "Come in.",
    ],
    "It is approx. 5 minutes away. Come in.": ["It is approx. 5 minutes away.", "Come in."],
    "1. Come in. 2. Sit down.": ["1. Come in.", "2. Sit down."],
}


@pytest.mark.parametrize("marked", CUT)
def test_the_first_clause_ends_where_people_pause(marked: str) -> None:
    clause, rest = marked.split("|")
    assert (clause + rest)[: first_clause_end(clause + rest)].strip() == clause.strip()


@pytest.mark.parametrize("sentence", WHOLE)
def test_no_clause_is_cut_from_what_is_said_in_one_breath(sentence: str) -> None:
    assert first_clause_end(sentence) == 0


@pytest.mark.parametrize("text", [*(cut.replace("|", "") for cut in CUT), *WHOLE, *REPLIES])
def test_more_text_never_moves_the_place(text: str) -> None:
    ends = [first_clause_end(text[:length]) for length in range(len(text) + 1)]
    assert {end for end in ends if end} <= {ends[-1]}


def test_a_comma_after_a_word_is_decided_at_once() -> None:
    assert first_clause_end("Sure,") == len("Sure,")


def test_a_word_that_begins_like_a_conjunction_is_waited_for() -> None:
    assert first_clause_end("I can book that for you but") == 0
    assert first_clause_end("I can book that for you butter") == 0


async def said(aggregator: FirstClauseAggregator, *tokens: str) -> list[str]:
    return [piece.text for token in tokens async for piece in aggregator.aggregate(token)]


async def ended(aggregator: FirstClauseAggregator) -> list[str]:
    rest = await aggregator.flush()
    return [rest.text] if rest else []


@pytest.mark.parametrize(("reply", "pieces"), REPLIES.items())
async def test_a_reply_goes_by_its_first_clause_and_then_by_sentences(
    reply: str, pieces: list[str]
) -> None:
    aggregator = FirstClauseAggregator()
    assert await said(aggregator, reply) + await ended(aggregator) == pieces


@pytest.mark.parametrize("reply", REPLIES)
async def test_it_does_not_matter_how_the_text_arrives(reply: str) -> None:
    whole, letters = FirstClauseAggregator(), FirstClauseAggregator()
    assert await said(whole, reply) == await said(letters, *reply)


async def test_the_next_reply_begins_with_its_clause_again() -> None:
    aggregator = FirstClauseAggregator()
    assert await said(aggregator, "Yes,", " we do.") == ["Yes,"]
    assert await ended(aggregator) == ["we do."]
    assert await said(aggregator, "Well,", " no.") == ["Well,"]


async def test_so_does_the_reply_after_an_interruption() -> None:
    aggregator = FirstClauseAggregator()
    await said(aggregator, "Yes,", " we do")
    await aggregator.handle_interruption()
    assert await said(aggregator, "Well,") == ["Well,"]


@pytest.mark.parametrize(("reply", "pieces"), REPLIES.items())
async def test_a_draft_has_no_more_words_than_its_first_clause_needs(
    reply: str, pieces: list[str]
) -> None:
    draft = await draft_of(reply)
    assert reply.startswith(draft)
    assert reply[len(draft) :][:1] in ("", " ")
    aggregator = FirstClauseAggregator()
    assert (await said(aggregator, draft) + await ended(aggregator))[:1] == pieces[:1]
    assert await said(FirstClauseAggregator(), draft.rpartition(" ")[0]) == []
