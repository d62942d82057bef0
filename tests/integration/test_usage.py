"""What a call consumes, over real connections: who did the work is charged for it."""

import math
from collections import defaultdict
from pathlib import Path

from processors.usage import Amounts, Used
from tests.faulty_call import Witness, calling
from tests.integration.conftest import FIRST, SECOND
from tests.speech import Speaker
from tests.standins.openai_server import Fault, OpenAIStandin

PRICES = {
    "openai": {"*": {"prompt": 1, "cached": 0.5, "completion": 2, "characters": 3, "minute": 0.6}}
}
FAILOVER = {"llm": {"first_output": 1.0, "idle": 0.7}}


def bill(witness: Witness) -> dict[tuple[str, str], Used]:
    """Add up what each service of each provider has consumed."""
    pieces: defaultdict[tuple[str, str], list[Used]] = defaultdict(list)
    for used in witness.used:
        pieces[used.kind, used.provider].append(used)
    return {
        key: Used(
            *key,
            "",
            sum((used.amounts for used in them), Amounts()),
            sum(used.cost or 0.0 for used in them),
        )
        for key, them in pieces.items()
    }


async def test_every_service_is_charged_for_what_it_did(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin
) -> None:
    everywhere = {"openai": first.url}
    services = {"stt": everywhere, "llm": everywhere, "tts": everywhere}
    async with calling(tmp_path, speaker, failover={}, prices=PRICES, **services) as call:
        await call.ask()
        charged = bill(call.witness)
    answers = len(first.chats)
    llm, tts, stt = (charged[kind, "openai"] for kind in ("llm", "tts", "stt"))
    assert (llm.amounts.prompt_tokens, llm.amounts.cached_tokens) == (1000 * answers, 600 * answers)
    assert llm.amounts.cache_write_tokens == 300 * answers
    assert math.isclose(llm.cost or 0, answers * (400 * 1 + 600 * 0.5 + 50 * 2) / 1_000_000)
    assert tts.amounts.characters == len(FIRST)
    assert math.isclose(tts.cost or 0, len(FIRST) * 3 / 1_000_000)
    assert math.isclose(stt.amounts.audio_secs, sum(first.heard_secs), abs_tol=0.1)
    assert math.isclose(stt.cost or 0, stt.amounts.audio_secs / 60 * 0.6)


async def test_who_stands_in_is_charged_and_not_who_was_refused(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, second: OpenAIStandin
) -> None:
    first.faults["llm"] = Fault.BROKEN
    llm = {"openai": first.url, "groq": second.url}
    services = {"stt": {"openai": second.url}, "tts": {"openai": second.url}}
    async with calling(tmp_path, speaker, failover=FAILOVER, llm=llm, **services) as call:
        assert (await call.ask()).said.generated == SECOND
        charged = bill(call.witness)
    assert ("llm", "openai") not in charged
    groq = charged["llm", "groq"]
    assert groq.amounts.prompt_tokens == 1000 * len(second.chats)
    assert {used.cost for used in call.witness.used if used.provider == "groq"} == {None}


async def test_an_answer_that_is_cut_off_is_charged_by_an_estimate_that_says_so(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, second: OpenAIStandin
) -> None:
    first.faults["llm"] = Fault.CLOSES
    llm = {"openai": first.url, "groq": second.url}
    services = {"stt": {"openai": second.url}, "tts": {"openai": second.url}}
    async with calling(
        tmp_path, speaker, failover=FAILOVER, llm=llm, prices=PRICES, **services
    ) as call:
        await call.ask()
        charged = bill(call.witness)
    cut, told = charged["llm", "openai"], charged["llm", "groq"]
    assert cut.amounts.completion_tokens > 0
    assert cut.amounts.estimated_tokens == (
        cut.amounts.prompt_tokens + cut.amounts.completion_tokens
    )
    assert cut.cost
    assert told.amounts.estimated_tokens == 0
