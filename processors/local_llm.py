"""The offline language model: one session on a llama.cpp server that all sessions share."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from loguru import logger
from openai import APIStatusError, AsyncOpenAI, AsyncStream, OpenAIError
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.services.openai.llm import OpenAILLMService

from processors.first_clause import draft_of
from processors.llm_failover import WatchedLLM
from processors.recent import estimate_tokens, recent
from processors.words_judge import LlamaWords

SURE_SHARE = 0.75
"""Of what the model can read, because tokens are estimated: figures and JSON are more than that."""

MAX_KEPT = 150
"""How many readings are kept on disk: the bots that come with this have 102. With the 0.5B and
instructions of 650 tokens, each takes 8 MB."""


@dataclass
class Slot:
    """Where the server keeps what was read last.

    Attributes:
        number: Which one.
        users: How many have it.
        last: Who of them has used it last; None for nobody.
        recalled: The name of the opening that is in it; "" for none that is known.
    """

    number: int
    users: int = 0
    last: object | None = None
    recalled: str = ""

    def use(self, user: object) -> None:
        """Have one use it: what another has recalled may be gone then."""
        if user is not self.last:
            self.last, self.recalled = user, ""


@dataclass(frozen=True)
class _Beginning:
    """What is known of a reply before the model is asked.

    Attributes:
        text: Its first words; "" for none.
        is_all: Whether there are no others.
        opening: What the conversation begins with that it replies to.
    """

    text: str
    is_all: bool
    opening: LLMContext


class LocalLLM(WatchedLLM, OpenAILLMService):
    """Pipecat's OpenAI service on the server in this process.

    Args:
        client: Of that server; all sessions share it, because making one blocks for 20 to 155 ms.
        slot: Where that server keeps what this session has had read; others may use it too.
        kept: Directory where the server keeps what was read; None if it keeps nothing.
        context_tokens: How much the model can read at once, its instructions and its reply
            included. Of a conversation that is longer, it is given the end.
        words: Judges the words of callers on the same server, before it goes on with a reply whose
            beginning is known.
        **kwargs: Passed to `OpenAILLMService`.
    """

    # The chat templates of small models drop messages of a role that they do not know.
    supports_developer_role = False

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        slot: Slot,
        kept: Path | None,
        context_tokens: int,
        words: LlamaWords,
        **kwargs: Any,
    ) -> None:
        self._shared_client = client
        self._slot = slot
        slot.users += 1
        self._kept = kept
        self._context_tokens = context_tokens
        self._words = words
        self._begun: _Beginning | None = None
        super().__init__(**kwargs)

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:
        """Return the shared client."""
        return self._shared_client

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Return what to ask the server: in the slot of this session."""
        self._slot.use(self)
        params: dict[str, Any] = super().build_chat_completion_params(params_from_context)
        self._merge_extra_body(params, {"id_slot": self._slot.number})
        return params

    async def begin_with(self, reply: str, opening: LLMContext) -> None:
        """Have the next reply begin with the first clause of `reply`.

        The model reads it, in a quarter of the time that it takes to write it, and goes on. What is
        one clause in all is the whole reply, and the model is not asked.

        Args:
            reply: What is to be said; "" if that is left to the model.
            opening: What the next conversation begins with; see `recall`.
        """
        beginning = await draft_of(reply)
        self._begun = _Beginning(beginning, is_all=beginning == reply.strip(), opening=opening)

    async def get_chat_completions(self, context: LLMContext) -> AsyncStream[ChatCompletionChunk]:
        """Return what the model writes, piece by piece."""
        begun, self._begun = self._begun, None
        if begun and begun.text:
            chunks = self._with_beginning(self._recent(context), begun)
            return cast(AsyncStream[ChatCompletionChunk], chunks)
        if begun:
            await self.recall(begun.opening)
            await self._words.let_pass()
        return await super().get_chat_completions(self._recent(context))

    async def _with_beginning(
        self, context: LLMContext, begun: "_Beginning"
    ) -> AsyncIterator[ChatCompletionChunk]:
        """Give out the reply to `context` of which the beginning is known, and that first."""
        yield _chunk(begun.text)
        if begun.is_all:
            return
        await self._words.let_pass()
        await self.recall(begun.opening)
        said: LLMContextMessage = {"role": "assistant", "content": begun.text}
        rest = LLMContext([*context.messages, said], context.tools, context.tool_choice)
        async with await super().get_chat_completions(rest) as chunks:
            async for chunk in chunks:
                yield chunk

    async def cleanup(self) -> None:
        """Give the slot back."""
        await super().cleanup()
        self._slot.users -= 1

    async def read(self, context: LLMContext) -> None:
        """Have the server read a conversation, while nobody waits for an answer to it.

        Where that fails, the log says so, and the answer comes later.
        """
        try:
            await self._read(await self._request(context))
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    async def recall(self, opening: LLMContext) -> None:
        """Have the server be as if it had just read `opening`.

        It is read once, and kept on disk, for all sessions: to load it takes some milliseconds.
        Where it cannot be kept, or `MAX_KEPT` others are, it is read each time.

        Args:
            opening: What many conversations begin with. The end of its last message may be another
                in these.
        """
        try:
            request = await self._request(opening)
            name = _name_of(request)
            self._slot.use(self)
            if name == self._slot.recalled:
                return
            # A file that is missing must not be asked for: the slot would forget all it holds.
            if not (self._is_kept(name) and await self._slot_file("restore", name)):
                await self._learn(request, name)
            if self._slot.last is self:
                self._slot.recalled = name
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    async def study(self, opening: LLMContext) -> None:
        """Have the server read `opening` for later, if it can be kept and is not; see `recall`."""
        try:
            request = await self._request(opening)
            if not self._is_kept(name := _name_of(request)) and self._has_room:
                await self._learn(request, name)
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    @property
    def _has_room(self) -> bool:
        return self._kept is not None and len(os.listdir(self._kept)) < MAX_KEPT

    async def _learn(self, request: dict[str, Any], name: str) -> None:
        """Have the server read something, and keep it if there is room."""
        tokens = await self._read(request)
        if not self._has_room:
            return
        saved = await self._slot_file("save", name)
        if saved and saved["n_saved"] != tokens:
            # Another session has the slot too, and its conversation must not stay on the disk.
            await self._forget(name)

    def _recent(self, context: LLMContext) -> LLMContext:
        """Return what the model can read of a conversation."""
        settings: Any = self._settings
        tools = self.get_llm_adapter().from_standard_tools(context.tools)
        around = f"{settings.system_instruction} {tools}"
        around_tokens = estimate_tokens([{"role": "system", "content": around}])
        reply_tokens = settings.max_tokens if isinstance(settings.max_tokens, int) else 0
        room = self._context_tokens - around_tokens - reply_tokens
        messages = recent(context.messages, int(SURE_SHARE * room))
        return LLMContext(messages, context.tools, context.tool_choice)

    async def _request(self, context: LLMContext) -> dict[str, Any]:
        """Return the conversation and its tools, as OpenAI's API takes them."""
        settings: Any = self._settings
        request = await self.get_llm_adapter().get_llm_invocation_params(
            self._recent(context),
            system_instruction=settings.system_instruction,
            convert_developer_to_user=True,
        )
        wanted = {"messages": request["messages"], "tools": request["tools"]}
        return {name: it for name, it in wanted.items() if it}

    async def _read(self, request: dict[str, Any]) -> int:
        """Have the server read something; return how many tokens it is."""
        self._slot.use(self)
        settings: Any = self._settings
        answer = await self._shared_client.chat.completions.create(
            model=settings.model,
            max_tokens=1,
            extra_body={"id_slot": self._slot.number},
            **request,
        )
        return answer.usage.prompt_tokens if answer.usage else 0

    def _is_kept(self, name: str) -> bool:
        return self._kept is not None and (self._kept / name).exists()

    async def _slot_file(self, action: Literal["save", "restore"], name: str) -> Any:
        """Save what the slot holds to a file, or load it from there.

        Returns:
            What the server says of it; None if it fails, and then the file is deleted.
        """
        root = self._shared_client.with_options(base_url=self._shared_client.base_url.join("/"))
        try:
            return await root.post(
                f"/slots/{self._slot.number}",
                options={"params": {"action": action}},
                body={"filename": name},
                cast_to=object,
            )
        except APIStatusError:
            await self._forget(name)
            return None

    async def _forget(self, name: str) -> None:
        assert self._kept
        await asyncio.to_thread((self._kept / name).unlink, missing_ok=True)


def _chunk(text: str) -> ChatCompletionChunk:
    """Return a piece of a reply as a server sends it."""
    return ChatCompletionChunk(
        id="",
        choices=[Choice(index=0, delta=ChoiceDelta(content=text))],
        created=0,
        model="",
        object="chat.completion.chunk",
    )


def _name_of(request: dict[str, Any]) -> str:
    """Return the name of the file of what was read."""
    read = [*request["messages"], *request.get("tools", ())]
    return hashlib.sha256(json.dumps(read).encode()).hexdigest()
