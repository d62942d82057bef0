import re
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import time
from pathlib import Path

import pytest
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter
from pipecat.frames.frames import LLMContextFrame, TextFrame
from pipecat.processors.aggregators.llm_context import LLMContext, LLMSpecificMessage
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import run_test

from bots import callcenter, receptionist, sales
from bots.registry import Bot
from bots.tools.appointments import CLINIC_SERVICES
from bots.tools.calendar import CLINIC_DOCTORS, CLINIC_HOURS, WEEKDAYS
from bots.tools.sales import PLANS
from processors.facts import Example, Fact, parse_examples, parse_facts
from processors.knowledge import Knowledge, KnowledgeProcessor, terms

ROOT = Path(__file__).parents[2]
CLINIC = ROOT / "bots/knowledge/receptionist.md"

MARKDOWN = """\
# The shop

What stands here is for the reader of this file.

## Parking (car, garage)
> Where can I park? Is there room for my van?
- Parking is free
  behind the house.
- Bicycles stand in the yard.

## Opening hours (open, when)

### Friday
We open at nine on Friday.

### Saturday (weekend)
* We open at ten on Saturday.

## Pets
Dogs are welcome.

## Fire
- "Leave the house."

# Examples

> What about cats?

Dogs are welcome.
"""
PARKING = "Parking is free behind the house."
FRIDAY, SATURDAY = "We open at nine on Friday.", "We open at ten on Saturday."


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge(parse_facts(MARKDOWN))


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


class TestParsing:
    def test_each_bullet_and_each_paragraph_is_a_fact(self):
        assert [fact.text for fact in parse_facts(MARKDOWN)] == [
            PARKING,
            "Bicycles stand in the yard.",
            FRIDAY,
            SATURDAY,
            "Dogs are welcome.",
            "Leave the house.",
        ]

    def test_a_fact_belongs_to_all_the_headings_above_it(self):
        saturday = parse_facts(MARKDOWN)[3]

        assert saturday == Fact(
            SATURDAY, ("Opening hours open, when", "Saturday weekend"), "Saturday"
        )

    def test_a_quote_says_how_callers_ask_for_the_facts_under_its_heading(self):
        asked = [fact.asked for fact in parse_facts(MARKDOWN)]

        assert asked[:3] == [*[("Where can I park?", "Is there room for my van?")] * 2, ()]

    def test_a_fact_in_quotation_marks_is_to_be_said_as_it_stands(self):
        assert [fact.text for fact in parse_facts(MARKDOWN) if fact.fixed] == ["Leave the house."]

    def test_examples_stand_below_their_heading(self):
        assert parse_examples(MARKDOWN) == [Example("What about cats?", "Dogs are welcome.")]

    def test_a_file_without_facts_is_refused(self, tmp_path):
        path = tmp_path / "empty.md"
        path.write_text("# Nothing\n\nHere.\n")

        with pytest.raises(ValueError, match=r"empty\.md"):
            Knowledge.from_files(path)


class TestLookup:
    @pytest.mark.parametrize(
        ("question", "best"),
        [
            ("where do i park", PARKING),
            ("Is there a garage for my car?", PARKING),
            ("when are you opening on saturdays", SATURDAY),
            ("what about the weekend", SATURDAY),
            ("may i bring my dog", "Dogs are welcome."),
        ],
    )
    def test_a_fact_is_found_by_other_forms_of_its_words_and_by_its_headings(
        self, knowledge, question, best
    ):
        assert knowledge.lookup(question)[0].text == best

    @pytest.mark.parametrize("question", ["", "hello", "thank you, bye", "do you sell gold"])
    def test_nothing_is_found_for_what_nobody_wrote_down(self, knowledge, question):
        assert knowledge.lookup(question) == []

    def test_no_more_facts_are_given_than_asked_for(self, knowledge):
        assert len(knowledge.lookup("when do you open", 1)) == 1
        assert len(knowledge.lookup("when do you open", 2)) == 2

    def test_a_short_question_is_completed_by_the_one_before(self, knowledge):
        found = knowledge.lookup("and then?", hint="when do you open on friday")

        assert found[0].text == FRIDAY

    def test_the_question_before_does_not_outweigh_the_question(self, knowledge):
        found = knowledge.lookup("and on saturday?", hint="when do you open on friday")

        assert found[0].text == SATURDAY

    def test_a_full_question_stands_alone(self, knowledge):
        question = "is there a garage to park my car"

        found = knowledge.lookup(question, hint="when do you open on friday")

        assert found[0].text == PARKING

    def test_without_facts_nothing_is_found(self):
        assert Knowledge([]).lookup("anything") == []


class TestProcessor:
    async def send(self, knowledge, frame, **kwargs):
        down, up = await run_test(KnowledgeProcessor(knowledge), frames_to_send=[frame], **kwargs)
        return [*down, *up][0]

    async def test_the_facts_stand_behind_the_last_words_of_the_user(self, knowledge):
        context = LLMContext([user("hello"), bot("Good morning."), user("can i park my car")])

        informed = (await self.send(knowledge, LLMContextFrame(context))).context

        assert informed.messages[:2] == context.messages[:2]
        assert informed.messages[2]["role"] == "user"
        content = informed.messages[2]["content"]
        assert content.index("can i park my car") < content.index(PARKING)

    async def test_pictures_in_a_message_are_kept(self, knowledge):
        parts = [
            {"type": "text", "text": "can i park here"},
            {"type": "image_url", "image_url": {}},
        ]

        informed = KnowledgeProcessor(knowledge).inform(LLMContext([user(parts)])).messages

        assert informed[0]["content"][:2] == parts
        assert PARKING in informed[0]["content"][2]["text"]

    async def test_the_stored_context_never_collects_facts(self, knowledge):
        context = LLMContext([user("can i park my car")])

        await self.send(knowledge, LLMContextFrame(context))

        assert context.messages == [user("can i park my car")]

    async def test_what_the_model_was_given_before_stays_as_it_was(self, knowledge):
        processor = KnowledgeProcessor(knowledge)
        first = [user("can i park my car")]
        second = [*first, bot("Yes."), user("and when do you open on friday")]

        informed = processor.inform(LLMContext(second)).messages

        assert informed[:2] == second[:2]

    @pytest.mark.parametrize("text", ["hello", "thank you, bye"])
    async def test_small_talk_goes_on_as_it_came(self, knowledge, text):
        informed = (await self.send(knowledge, LLMContextFrame(LLMContext([user(text)])))).context

        assert informed.messages == [user(text)]

    async def test_the_model_is_told_when_nothing_is_known(self, knowledge):
        context = LLMContext([user("do you sell gold")])

        informed = KnowledgeProcessor(knowledge).inform(context).messages

        assert informed[0]["content"].endswith("Facts: none")

    async def test_a_context_without_a_user_gets_no_facts(self, knowledge):
        context = LLMContext([{"role": "developer", "content": "Greet the caller."}])

        informed = (await self.send(knowledge, LLMContextFrame(context))).context

        assert informed.messages == context.messages

    async def test_a_speculation_stays_a_speculation(self, knowledge):
        frame = LLMContextFrame(LLMContext([user("can i park my car")]), speculation=True)

        assert (await self.send(knowledge, frame)).speculation is True

    async def test_the_tools_of_the_context_are_kept(self, knowledge):
        async def tool(params):
            """Do something."""

        context = LLMContext([user("can i park my car")], tools=[tool], tool_choice="auto")

        informed = (await self.send(knowledge, LLMContextFrame(context))).context

        assert (informed.tools, informed.tool_choice) == (context.tools, "auto")

    async def test_after_a_tool_call_the_facts_are_still_those_of_the_question(self, knowledge):
        call = [
            {"role": "assistant", "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "{}"},
        ]
        processor = KnowledgeProcessor(knowledge)
        asked = LLMContext([user("can i park my car")])

        before = processor.inform(asked).messages
        after = processor.inform(LLMContext([*asked.messages, *call])).messages

        assert after == [*before, *call]

    async def test_messages_of_other_services_are_left_alone(self, knowledge):
        own = LLMSpecificMessage(llm="anthropic", message={"thought": "hm"})

        informed = KnowledgeProcessor(knowledge).inform(LLMContext([own, user("can i park")]))

        assert informed.messages[0] is own
        assert PARKING in informed.messages[1]["content"]

    async def test_other_frames_and_contexts_on_their_way_up_pass(self, knowledge):
        text = TextFrame("can i park my car")
        context = LLMContext([user("can i park my car")])

        assert await self.send(knowledge, text) is text
        up = await self.send(
            knowledge,
            LLMContextFrame(context),
            frames_to_send_direction=FrameDirection.UPSTREAM,
        )
        assert up.context is context

    async def test_a_model_without_the_developer_role_gets_the_facts_too(self, knowledge):
        context = KnowledgeProcessor(knowledge).inform(LLMContext([user("can i park my car")]))

        params = await OpenAILLMAdapter().get_llm_invocation_params(
            context, system_instruction="You are kind.", convert_developer_to_user=True
        )

        assert [m["role"] for m in params["messages"]] == ["system", "user"]
        assert PARKING in params["messages"][1]["content"]


class TestClinic:
    HOURS = {  # noqa: RUF012
        8: "eight in the morning",
        9: "nine in the morning",
        12: "twelve noon",
        13: "one in the afternoon",
        16: "four in the afternoon",
        18: "six in the evening",
        20: "eight in the evening",
    }

    def spoken_hours(self, day: int, opens: time, closes: time) -> str:
        name = WEEKDAYS[day].capitalize()
        return (
            f"On {name}, we are open from {self.HOURS[opens.hour]} until {self.HOURS[closes.hour]}"
        )

    def test_the_facts_say_the_hours_that_can_be_booked(self):
        text = CLINIC.read_text()

        for day, (opens, closes) in CLINIC_HOURS.items():
            assert self.spoken_hours(day, opens, closes) in text
        assert "On Sunday, we are closed" in text

    def test_the_facts_name_the_doctors_and_the_prices_of_the_tools(self):
        text = CLINIC.read_text()

        for doctor in CLINIC_DOCTORS:
            assert doctor in text
        for service, price in CLINIC_SERVICES.items():
            assert re.search(rf"{service} costs {price}", text, re.IGNORECASE)

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("are you open on sunday", "closed"),
            ("when do you close on thursdays", "eight in the evening"),
            ("where can i leave my car", "behind the building"),
            ("how much is a flu jab", "twenty-five dollars"),
            ("do you take my blue cross plan", "Blue Cross"),
            ("do you pull teeth", "do not offer dental"),
            ("who looks after my little boy", "Okoye"),
            ("can i cancel", "thirty dollars"),
        ],
    )
    def test_spoken_questions_find_their_answer(self, question, answer):
        assert answer in Knowledge.from_files(CLINIC).lookup(question)[0].text


@pytest.mark.parametrize(
    "bot", [receptionist.BOT, sales.BOT, callcenter.BOT], ids=lambda b: b.prompt
)
class TestBots:
    def files(self, bot: Bot) -> list[Path]:
        return [ROOT / "bots/knowledge" / name for name in (bot.knowledge, bot.offline_knowledge)]

    def test_every_fact_can_be_spoken_as_it_stands(self, bot: Bot) -> None:
        for fact in Knowledge.from_files(*self.files(bot)).facts:
            assert not re.search(r"[0-9#*()\[\]$%]", fact.text), fact.text

    def test_every_example_answers_with_a_fact_as_it_stands(self, bot: Bot) -> None:
        facts = {fact.text for fact in Knowledge.from_files(*self.files(bot)).facts}
        examples = parse_examples(self.files(bot)[1].read_text())
        assert examples
        assert [example for example in examples if example.answer not in facts] == []

    def test_the_same_is_said_whether_nothing_is_known_or_nothing_is_found(self, bot: Bot) -> None:
        facts = {fact.text for fact in Knowledge.from_files(self.files(bot)[1]).facts}
        assert bot.nothing_known in facts


class TestQuillworks:
    TENS = {9: "nine", 19: "nineteen", 39: "thirty-nine"}  # noqa: RUF012

    def test_the_facts_name_the_prices_of_the_tools(self) -> None:
        text = (ROOT / "bots/knowledge/sales.md").read_text()
        for name, plan in PLANS.items():
            assert f"{name} costs {self.TENS[plan.dollars]} dollars a month" in text

    @pytest.mark.parametrize(
        ("file", "question", "answer"),
        [
            ("sales", "can i try it for free", "thirty days"),
            ("sales", "what does it cost for one person", "nine dollars"),
            ("sales", "does it work with quickbooks", "QuickBooks"),
            ("sales", "can i send an invoice in euros", "any currency"),
            ("callcenter", "i forgot my password", "forgotten password"),
            ("callcenter", "the app crashes when i add a photo", "Android"),
            ("callcenter", "my customer's card was declined", "bank turned"),
            ("callcenter", "i was charged twice", "five working days"),
        ],
    )
    def test_spoken_questions_find_their_answer(
        self, file: str, question: str, answer: str
    ) -> None:
        path = ROOT / "bots/knowledge" / f"{file}.md"
        assert answer in Knowledge.from_files(path).lookup(question)[0].text


def test_facts_are_read_in_several_threads_at_once_as_in_one() -> None:
    text = CLINIC.read_text()
    alone = terms(text)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(terms, [text] * 8)) == [alone] * 8
    finally:
        sys.setswitchinterval(interval)
