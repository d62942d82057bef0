"""What a small local model needs beside facts: little to read, and no say where it must not err."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, cast

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    standard_message_text,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.turns.speculation_gate import SpeculationGate

from processors.facts import Example, Fact
from processors.knowledge import Knowledge, asked_in, with_context
from processors.rehearsal import Rehearsal
from processors.withdrawn import HeedsWithdrawals

ANSWER_FORM = "The answer is: {}\n\n"
QUESTION_FORM = "The caller says: {}"


class Speaker(Protocol):
    """Can be told how its next answer begins."""

    async def begin_with(self, reply: str, opening: LLMContext) -> None:
        """Have the next answer begin with the first clause of `reply`, as behind `opening`."""


class OfflineKnowledgeProcessor(HeedsWithdrawals):
    """Answers with a fixed fact itself, and has the LLM answer with any other.

    Stands between the user aggregator and the LLM. The LLM is shown the examples, the user's last
    words and the one fact that was found for them, and nothing of the conversation before: a small
    model repeats what it reads there. The conversation itself is kept as it is.

    A fixed fact that answers a speculative turn is held back here until the turn is confirmed, as
    the LLM holds its own replies.

    Attributes:
        rehearsal: Follows fixed facts while they are held; None where nobody does.
        speaker: The LLM, if it can be told how an answer begins.
    """

    def __init__(
        self, knowledge: Knowledge, *, examples: Iterable[Example] = (), nothing_known: str
    ) -> None:
        """Answer from `knowledge`.

        Args:
            knowledge: Where to look the user's words up.
            examples: Turns that show the model how a fact becomes an answer: as it stands.
            nothing_known: What stands in the place of a fact where none is found.
        """
        super().__init__()
        self._knowledge = knowledge
        self._nothing_known = nothing_known
        self._gate = SpeculationGate(name=f"{self}")
        self.rehearsal: Rehearsal | None = None
        self.speaker: Speaker | None = None
        self._examples: list[LLMContextMessage] = []
        for example in examples:
            question: LLMContextMessage = {"role": "user", "content": example.question}
            self._examples += [
                _with_answer(question, example.answer),
                {"role": "assistant", "content": example.answer},
            ]

    def beginning(self, context: LLMContext, fact: Fact | None) -> str:
        """Return what the LLM's answer with `fact` begins like; "" where nobody has asked.

        A small model says a fact as it stands, or goes wrong: of 337 answers of the receptionist,
        the 0.5B began none otherwise, and the 135M was wrong in 46 with the first clause given, and
        in 92 without (tests/bench/receptionist_offline.py).
        """
        return self._text(fact) if asked_in(context.get_messages()) else ""

    @property
    def openings(self) -> list[LLMContext]:
        """What requests to the LLM start with: one for each fact that it may be shown, and none."""
        texts = dict.fromkeys(fact.text for fact in self._knowledge.facts if not fact.fixed)
        return [self._opening(text) for text in (self._nothing_known, *texts)]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context on its way to the LLM, or make it short; pass on everything else."""
        await super().process_frame(frame, direction)
        self.note_withdrawal(frame)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            fact = await asyncio.to_thread(self.find, frame.context)
            if self.is_withdrawn(frame):
                return
            if fact and fact.fixed:
                self._gate.begin_speculation(frame.speculation)
                await self._say(fact.text)
                return
            if self.speaker:
                beginning = self.beginning(frame.context, fact)
                await self.speaker.begin_with(beginning, self._opening(self._text(fact)))
            frame = with_context(frame, self.shorten(frame.context, fact))
        await self.push_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, unless it waits for the end of the turn that it answers."""
        if self.rehearsal and self._gate.is_speculating:
            await self.rehearsal.follow(frame)
        for released, way in self._gate.process(frame, direction):
            await super().push_frame(released, way)

    def find(self, context: LLMContext) -> Fact | None:
        """Return the fact that answers the user's last words; None if there is none.

        The encoder computes for some milliseconds: not on the event loop.
        """
        messages = context.get_messages()
        asked = [standard_message_text(messages[i]) for i in asked_in(messages)[-2:]]
        return self._lookup(asked[-1], before=asked[0] if len(asked) > 1 else "") if asked else None

    def shorten(self, context: LLMContext, fact: Fact | None) -> LLMContext:
        """Return the context with which the LLM answers with `fact`, or knows of none."""
        messages = context.get_messages()
        last = [_with_answer(messages[i], self._text(fact)) for i in asked_in(messages)[-1:]]
        # Without words of the user, there may be others to act on.
        return LLMContext([*self._examples, *(last or messages)])

    def _text(self, fact: Fact | None) -> str:
        return fact.text if fact else self._nothing_known

    def _opening(self, text: str) -> LLMContext:
        return LLMContext([*self._examples, _with_answer({"role": "user", "content": ""}, text)])

    async def _say(self, text: str) -> None:
        """Push what an LLM's reply consists of."""
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(text))
        await self.push_frame(LLMFullResponseEndFrame())

    def _lookup(self, question: str, *, before: str) -> Fact | None:
        return next(iter(self._knowledge.lookup(question, limit=1, hint=before)), None)


def _with_answer(message: LLMContextMessage, answer: str) -> LLMContextMessage:
    """Return a copy of the user's message with the answer in front of what it says.

    It is in front because it is often known before the last words are: then these are all that is
    left to read. Measured with tests/bench/receptionist_offline.py, behind the question it is
    answered with as often. A small model that is told of facts, not of the answer, repeats the
    question where it begins with "Sorry, ...".
    """
    note = ANSWER_FORM.format(answer)
    content = cast(dict[str, Any], message)["content"]
    if isinstance(content, str):
        content = note + QUESTION_FORM.format(content)
    else:
        content = [{"type": "text", "text": note}, *content]
    return cast(LLMContextMessage, {**cast(dict[str, Any], message), "content": content})
