"""How a language model on this machine uses the receptionist's booking tool.

    .venv/bin/python tests/bench/tools_offline.py --model qwen2.5-coder-1.5b

What callers say is in bookings.toml: wishes, each in one or more turns, and other things. Whatever
the tool is given that the caller has not said is invented.
"""

import argparse
import asyncio
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import openai
from offline import KEPT, STORE

# `offline` makes the project's own modules known.
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter
from pipecat.processors.aggregators.llm_context import LLMContext

from bots.receptionist import BOT
from engines.llama import LlamaServer

CALLERS = tomllib.loads(Path(__file__).with_name("bookings.toml").read_text("utf-8"))
WORDS_NEVER_INVENTED = ("name", "phone")


class Model:
    """A model of the manifest with the receptionist's tools."""

    def __init__(self, name: str) -> None:
        template = STORE.manifest.model(name).chat_template
        self._server = LlamaServer(STORE.file(name), kept=KEPT, threads=2, chat_template=template)
        self._client = openai.OpenAI(
            base_url=self._server.base_url, api_key=self._server.key, timeout=120
        )

    def answer(self, context: LLMContext) -> tuple[str, dict[str, Any] | None]:
        """Return what it says, and what it books: the arguments of the tool, or None."""
        params = asyncio.run(
            OpenAILLMAdapter().get_llm_invocation_params(
                context,
                system_instruction=BOT.system_instruction(small=False),
                convert_developer_to_user=True,
            )
        )
        message = (
            self._client.chat.completions.create(
                model="local",
                messages=params["messages"],
                tools=params["tools"],
                temperature=0.0,
                max_tokens=BOT.max_tokens,
            )
            .choices[0]
            .message
        )
        for call in message.tool_calls or []:
            if call.type == "function" and call.function.name == "book_appointment":
                return "", json.loads(call.function.arguments)
        return message.content or "", None


def hold(model: Model, turns: list[str]) -> dict[str, Any] | None:
    """Say the turns one after the other, until something is booked."""
    context = LLMContext([{"role": "assistant", "content": BOT.greeting}], tools=list(BOT.tools))
    for turn in turns:
        context.add_message({"role": "user", "content": turn})
        said, booked = model.answer(context)
        if booked is not None:
            return booked
        context.add_message({"role": "assistant", "content": said})
    return None


def is_invented(field: str, value: str, turns: list[str]) -> bool:
    said = " ".join(turns).lower()
    if field == "phone":
        digits = re.sub(r"\D", "", value)
        return bool(digits) and digits not in re.sub(r"\D", "", said)
    return any(word not in said for word in value.lower().split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a model of the manifest")
    parser.add_argument("--verbose", action="store_true", help="print each booking")
    args = parser.parse_args()
    model = Model(args.model)
    wishes = CALLERS["wishes"]
    complete = [wish for wish in wishes if all(wish.get(f) for f in ("name", "phone", "day"))]
    invented = booked_whole = 0
    for wish in wishes:
        booked = hold(model, wish["said"])
        wrong = [
            field
            for field in WORDS_NEVER_INVENTED
            if booked and is_invented(field, str(booked.get(field, "")), wish["said"])
        ]
        invented += bool(wrong)
        booked_whole += bool(booked and not wrong and wish in complete)
        if args.verbose:
            print(f"  {'INVENTED ' + str(wrong) if wrong else 'ok'} {wish['said']} {booked}")
    others = sum(hold(model, [said]) is not None for said in CALLERS["other"])
    print(
        f"{args.model}: of {len(wishes)} wishes, {invented} were booked with an invented name or "
        f"number; of {len(complete)} that named all, {booked_whole} were booked; of "
        f"{len(CALLERS['other'])} callers who wanted something else, {others} were booked",
        flush=True,
    )


if __name__ == "__main__":
    main()
