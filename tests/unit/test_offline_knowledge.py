import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TextFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import SleepFrame, run_test

from processors.facts import Example, Fact, parse_facts
from processors.knowledge import Knowledge
from processors.offline_knowledge import OfflineKnowledgeProcessor

MARKDOWN = """\
## Parking
> Where can I leave my car?
- Parking is free.

## Opening hours
> When do you open?
- We open at nine.

## Fire
> It burns. I see smoke.
- "Walk outside."

## Thanks
> Thank you.
- "You are welcome."
"""
UNKNOWN = "I do not know."
SYNONYMS = {"vehicle": "car", "flames": "burns"}


class Words:
    """An encoder for tests: a text is the words in it, and synonyms are one word."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), 4096), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"[a-z]+", text.lower()):
                name = SYNONYMS.get(word, word)
                vector[int.from_bytes(name.encode(), "little") % 4093] = 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge(parse_facts(MARKDOWN), Words())


@pytest.fixture
def processor(knowledge) -> OfflineKnowledgeProcessor:
    return OfflineKnowledgeProcessor(
        knowledge,
        examples=[Example("Do you open early?", "We open at nine.")],
        nothing_known=UNKNOWN,
    )


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


async def down(processor, *frames, **kwargs):
    down, up = await run_test(processor, frames_to_send=[*frames], **kwargs)
    return [*down, *up]


class TestMeaning:
    def test_a_fact_is_found_by_what_callers_say_in_other_words(self, knowledge):
        assert knowledge.lookup("where can i leave my vehicle")[0].text == "Parking is free."

    def test_without_an_encoder_it_is_found_by_its_words_only(self):
        assert Knowledge(parse_facts(MARKDOWN)).lookup("where can i leave my vehicle") == []

    def test_what_is_far_from_all_that_callers_say_finds_nothing(self, knowledge):
        assert knowledge.lookup("any gold for sale") == []

    def test_what_is_said_as_it_stands_must_be_meant_now(self, knowledge):
        assert knowledge.lookup("see henry", hint="when do you open it burns") == []

    def test_what_was_said_as_it_stands_may_be_gone_on_with(self, knowledge):
        [fact] = knowledge.lookup("see henry", hint="it burns")

        assert fact.text == "Walk outside."

    def test_small_talk_is_not_about_what_was_said_before(self, knowledge):
        found = knowledge.lookup("thank you", hint="when do you open")

        assert found[0].text == "You are welcome."

    @pytest.mark.parametrize("before", ["When do you open?", "May I bring dogs?"])
    def test_a_short_question_is_about_what_was_said_before(self, before):
        facts = [
            Fact("At ten.", asked=("When do you open on Saturday?",)),
            Fact("No dogs.", asked=("May I bring dogs on Saturday?",)),
        ]

        [fact] = Knowledge(facts, Words()).lookup("And on Saturday?", limit=1, hint=before)

        assert fact.asked == (before.replace("?", " on Saturday?"),)


class TestFixedFacts:
    async def test_a_fixed_fact_is_said_as_a_reply_and_the_model_is_not_asked(self, processor):
        frames = await down(processor, LLMContextFrame(LLMContext([user("it burns")])))

        assert [type(frame) for frame in frames] == [
            LLMFullResponseStartFrame,
            LLMTextFrame,
            LLMFullResponseEndFrame,
        ]
        assert frames[1].text == "Walk outside."

    async def test_the_conversation_keeps_what_was_said(self, processor):
        context = LLMContext([user("help, flames, it burns")])
        turns = LLMContextAggregatorPair(context)

        await down(Pipeline([processor, turns.assistant()]), LLMContextFrame(context))

        assert context.messages[-1] == bot("Walk outside.")

    async def test_is_not_said_before_the_turn_that_it_answers_has_ended(self, processor):
        ahead = LLMContextFrame(LLMContext([user("it burns")]), speculation=True)

        assert await down(processor, ahead) == []
        frames = await down(processor, ahead, SleepFrame(), UserStoppedSpeakingFrame())

        assert [frame.text for frame in frames if isinstance(frame, LLMTextFrame)] == [
            "Walk outside."
        ]

    async def test_is_never_said_once_it_was_withdrawn(self, processor):
        ahead = LLMContextFrame(LLMContext([user("it burns")]), speculation=True)
        end = [EagerEndOfTurnCancelFrame(), SleepFrame(), UserStoppedSpeakingFrame()]

        frames = await down(processor, ahead, SleepFrame(), *end)

        assert [type(frame) for frame in frames] == [
            EagerEndOfTurnCancelFrame,
            UserStoppedSpeakingFrame,
        ]

    async def test_other_facts_are_left_to_the_model(self, processor):
        [frame] = await down(processor, LLMContextFrame(LLMContext([user("when do you open")])))

        assert "We open at nine." in frame.context.messages[-1]["content"]


class Notes:
    """A speaker for tests: notes how it is to begin, and behind what."""

    def __init__(self) -> None:
        self.beginnings: list[str] = []
        self.openings: list[list] = []

    async def begin_with(self, reply: str, opening: LLMContext) -> None:
        self.beginnings.append(reply)
        self.openings.append(opening.messages)


def text(messages) -> str:
    return "\n".join(message["content"] for message in messages)


class TestTheBeginning:
    @pytest.fixture
    def speaker(self, processor) -> Notes:
        processor.speaker = Notes()
        return processor.speaker

    async def test_the_model_is_told_what_all_that_is_asked_of_a_fact_begins_with(
        self, processor, speaker
    ):
        [frame] = await down(processor, LLMContextFrame(LLMContext([user("When do you open?")])))

        [opening] = speaker.openings
        assert "at nine" in text(opening)
        assert text(frame.context.messages).startswith(text(opening))

    async def test_an_answer_begins_as_the_fact_does_or_as_where_nothing_is_known(
        self, processor, speaker
    ):
        for asked in ("When do you open?", "Who built the pyramids?"):
            await down(processor, LLMContextFrame(LLMContext([user(asked)])))

        assert speaker.beginnings == ["We open at nine.", UNKNOWN]

    async def test_where_nobody_has_asked_the_model_answers_in_its_own_words(
        self, processor, speaker
    ):
        await down(processor, LLMContextFrame(LLMContext([bot("Good day, this is Grace.")])))

        assert speaker.beginnings == [""]

    async def test_fixed_words_are_no_beginning_of_an_answer_of_the_model(self, processor, speaker):
        await down(processor, LLMContextFrame(LLMContext([user("it burns")])))

        assert not speaker.beginnings

    async def test_every_fact_that_it_may_be_shown_has_an_opening(self, processor):
        openings = [text(opening.messages) for opening in processor.openings]

        assert len(openings) == 3
        for opening, shown in zip(
            openings, [UNKNOWN, "Parking is free.", "We open at nine."], strict=True
        ):
            assert opening.splitlines()[-3].endswith(shown)


class TestShortening:
    async def test_the_model_reads_the_examples_and_the_last_words_but_not_what_was_said_before(
        self, processor
    ):
        context = LLMContext(
            [bot("Good day, this"), user("it burns"), bot("Walk."), user("When do you open?")]
        )
        before = list(context.messages)

        [frame] = await down(processor, LLMContextFrame(context))

        example, answer, asked = frame.context.messages
        assert "Do you open early?" in example["content"]
        assert answer == bot("We open at nine.")
        assert asked["content"].index("at nine") < asked["content"].index("When do you open?")
        assert context.messages == before

    async def test_the_model_is_told_what_to_say_when_nothing_is_known(self, processor):
        [frame] = await down(processor, LLMContextFrame(LLMContext([user("any gold for sale")])))

        assert UNKNOWN in frame.context.messages[-1]["content"]

    async def test_a_conversation_without_words_of_the_user_is_kept(self, processor):
        greet = {"role": "developer", "content": "Greet the caller."}

        [frame] = await down(processor, LLMContextFrame(LLMContext([greet])))

        assert frame.context.messages[-1] == greet

    async def test_other_frames_and_contexts_on_their_way_up_pass(self, processor):
        text, context = TextFrame("it burns"), LLMContextFrame(LLMContext([user("it burns")]))

        assert await down(processor, text) == [text]
        up = await down(processor, context, frames_to_send_direction=FrameDirection.UPSTREAM)
        assert up == [context]
