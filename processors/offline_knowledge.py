"""What a small local model needs beside facts: little to read, and no say where it must not err."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
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
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.speculation_gate import SpeculationGate

from processors.facts import Example, Fact
from processors.knowledge import Knowledge, asked_in, with_context
from processors.rehearsal import Rehearsal

ANSWER_FORM = "The answer is: {}\n\n"
QUESTION_FORM = "The caller says: {}"


class OfflineKnowledgeProcessor(FrameProcessor):
    """Answers with a fixed fact itself, and has the LLM answer with any other.

    Stands between the user aggregator and the LLM. The LLM is shown the examples, the user's last
    words and the one fact that was found for them, and nothing of the conversation before: a small
    model repeats what it reads there. The conversation itself is kept as it is.

    A fixed fact that answers a speculative turn is held back here until the turn is confirmed, as
    the LLM holds its own replies.

    Attributes:
        rehearsal: Follows fixed facts while they are held, and expects the others to be said as
            they stand; None where nobody does.
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
        self._examples: list[LLMContextMessage] = []
        for example in examples:
            question: LLMContextMessage = {"role": "user", "content": example.question}
            self._examples += [
                _with_answer(question, example.answer),
                {"role": "assistant", "content": example.answer},
            ]

    @property
    def opening(self) -> LLMContext:
        """What every request to the LLM starts with."""
        return LLMContext([*self._examples])

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context on its way to the LLM, or make it short; pass on everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, EagerEndOfTurnCancelFrame):
            # It overtakes the question that it withdraws, which may be here still.
            await self._start_interruption()
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            fact = await asyncio.to_thread(self.find, frame.context)
            if fact and fact.fixed:
                self._gate.begin_speculation(frame.speculation)
                await self._say(fact.text)
                return
            if fact and self.rehearsal:
                # A small model mostly says it as it stands.
                await self.rehearsal.expect(fact.text)
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

    def listening(self, context: LLMContext) -> LLMContext:
        """Return what the LLM reads while the user is still speaking; see `find` for the time.

        It is what the LLM will answer, as far as that is known; where fixed words will, the last
        words are all that counts.

        Args:
            context: The conversation, with what the user has said so far as its last message.
        """
        fact = self.find(context)
        return self.shorten(context, None if fact and fact.fixed else fact)

    def find(self, context: LLMContext) -> Fact | None:
        """Return the fact that answers the user's last words; None if there is none.

        The encoder computes for some milliseconds: not on the event loop.
        """
        messages = context.get_messages()
        asked = [standard_message_text(messages[i]) for i in asked_in(messages)[-2:]]
        return self._lookup(asked[-1], before=asked[0] if len(asked) > 1 else "") if asked else None

    def shorten(self, context: LLMContext, fact: Fact | None) -> LLMContext:
        """Return the context with which the LLM answers with `fact`, or knows of none."""
        text = fact.text if fact else self._nothing_known
        messages = context.get_messages()
        last = [_with_answer(messages[i], text) for i in asked_in(messages)[-1:]]
        # Without words of the user, there may be others to act on.
        return LLMContext([*self._examples, *(last or messages)])

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
