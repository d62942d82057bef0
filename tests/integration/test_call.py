"""A peer without a browser calls the receptionist of the real service."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import soxr
from prometheus_client.parser import text_string_to_metric_families

from runner.clients.client import SAMPLE_RATE_HZ
from runner.peer import Peer, connect
from tests.bench import sounds
from tests.service import Service, run_service
from tests.speech import GREETING_VOICED_SECS, Speaker, voiced_secs, words_wrong

REPLY_SECS = 30
LOUD = 300
PLAIN = "tests.bench.plain_receptionist"
PAUSED_SECS = 0.8
"""The greeting has 0.6 to 0.75 s of pauses of its own, and 0.9 to 1.3 s where a "mhm" of half a
second has paused it, whether that fell into one of them or not."""


async def ask(peer: Peer, speaker: Speaker, question: str) -> tuple[str, str, float]:
    """Say a question after the bot has finished; return what it heard, said, and for how long."""
    asked_at, heard_at = len(peer.messages), len(peer.heard)
    await peer.microphone.say(await speaker.say(question))
    await peer.hear_out(timeout=REPLY_SECS, after=asked_at)
    said = peer.messages[asked_at:]
    return (
        " ".join(m["data"]["text"] for m in said if is_final_transcript(m)),
        " ".join(m["data"]["text"] for m in said if m["type"] == "bot-tts-text"),
        voiced_secs(np.concatenate(peer.heard[heard_at:])),
    )


def is_final_transcript(message: dict) -> bool:
    return message["type"] == "user-transcription" and message["data"]["final"]


async def test_it_greets_hears_and_answers_in_sound(service: Service, speaker: Speaker) -> None:
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        assert voiced_secs(np.concatenate(peer.heard)) > GREETING_VOICED_SECS, "the greeting"
        heard, answer, voiced = await ask(peer, speaker, "Is there somewhere to leave my car?")
    assert words_wrong("Is there somewhere to leave my car?", heard) <= 1
    assert "free" in answer.lower() or "behind" in answer.lower()
    assert voiced > 1
    assert "Facts" not in str(peer.messages), "what the model is told stays in the service"


async def test_the_offline_voice_speaks_as_fast_as_a_session_wants(service: Service) -> None:
    secs = []
    for speed in (1, 2):
        wish = {"agent_type": "single_agent", "agent_config": {"speed": speed}}
        async with (
            aiohttp.ClientSession(service.url) as http,
            http.post("/voice/realtime/session", json=wish) as made,
            connect(service.url, session_id=(await made.json())["token"]) as peer,
        ):
            await peer.hear_out(timeout=REPLY_SECS)
        # Its pauses get shorter as well, but by other shares in each try.
        loud = np.flatnonzero(np.abs(np.concatenate(peer.heard).astype(int)) > LOUD)
        secs.append((loud[-1] - loud[0]) / SAMPLE_RATE_HZ)
    # Chance has a part in how long each word takes.
    assert 0.35 < secs[1] / secs[0] < 0.75, secs


@pytest.mark.parametrize("bot", ["receptionist", "one without facts"])
async def test_the_end_of_a_turn_goes_by_what_the_language_model_says_of_the_words_too(
    tmp_path: Path, speaker: Speaker, bot: str
) -> None:
    environment = {
        "PARLANTE_VOICE__REALTIME__LOGGING__LEVEL": "DEBUG",
        "PARLANTE_BOTS": json.dumps({"one without facts": {"module": PLAIN}}),
        "PARLANTE_DEFAULT_BOT": bot,
    }
    with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            await ask(peer, speaker, "What are your opening hours?")
        assert re.search(r"the turn is over with .* words 0\.\d+", service.log)


async def test_interim_transcripts_come_while_the_user_speaks(
    service: Service, speaker: Speaker
) -> None:
    question = (
        "I would like to know whether you are open on Saturday mornings, or only in the week."
    )
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        before = len(peer.messages)
        await peer.microphone.say(await speaker.say(question))
        interim = [
            m
            for m in peer.messages[before:]
            if m["type"] == "user-transcription" and not m["data"]["final"]
        ]
    assert interim
    assert "open" in " ".join(m["data"]["text"] for m in interim).lower()


async def test_the_bot_falls_silent_when_the_user_speaks_over_it(
    service: Service, speaker: Speaker
) -> None:
    async with connect(service.url) as peer:
        await peer.wait_for(lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS)
        before = len(peer.messages)
        question = await speaker.say("Sorry, one moment, are you open on Sunday?")
        saying = asyncio.create_task(peer.microphone.say(question))
        await peer.wait_for(
            lambda m: m["type"] == "user-started-speaking", timeout=REPLY_SECS, after=before
        )
        await saying
        assert voiced_secs(np.concatenate(peer.heard[-25:])) == 0, "half a second later"
        await peer.hear_out(timeout=REPLY_SECS, after=len(peer.messages))
        answer = " ".join(
            m["data"]["text"] for m in peer.messages[before:] if m["type"] == "bot-tts-text"
        )
    assert "closed" in answer.lower() or "not open" in answer.lower()


async def test_two_calls_at_once_stay_apart(service: Service, speaker: Speaker) -> None:
    async with connect(service.url) as one, connect(service.url) as two:
        await asyncio.gather(one.hear_out(timeout=REPLY_SECS), two.hear_out(timeout=REPLY_SECS))
        (heard_one, answer_one, _), (heard_two, answer_two, _) = await asyncio.gather(
            ask(one, speaker, "Is there somewhere to leave my car?"),
            ask(two, speaker, "Are you open on Sunday?"),
        )
    assert "car" in heard_one.lower()
    assert "sunday" not in heard_one.lower()
    assert "sunday" in heard_two.lower()
    assert "car" not in heard_two.lower()
    assert "sunday" not in answer_one.lower()
    assert "park" not in answer_two.lower()


async def test_the_log_of_the_service_holds_no_exception(service: Service) -> None:
    assert "Traceback" not in service.log
    assert "ERROR" not in service.log


async def test_a_bot_that_is_listened_to_pauses_and_goes_on(service: Service) -> None:
    mhm = soxr.resample(sounds.mhm().astype(np.float32), 16_000, 48_000).astype(np.int16)
    async with connect(service.url) as peer:
        await peer.wait_for(lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS)
        await asyncio.sleep(0.5)
        await peer.microphone.say(mhm)
        await peer.hear_out(timeout=REPLY_SECS)
    assert not [m for m in peer.messages if m["type"] == "bot-interrupted"]
    heard = np.concatenate(peer.heard)
    assert voiced_secs(heard) > GREETING_VOICED_SECS, "all of the greeting"
    pauses = np.diff(np.flatnonzero(np.abs(heard.astype(int)) > LOUD)) / SAMPLE_RATE_HZ
    assert pauses[pauses > 0.1].sum() > PAUSED_SECS


async def test_the_wait_for_an_answer_is_told_to_the_client_and_to_prometheus(
    service: Service, speaker: Speaker
) -> None:
    async def answers() -> float:
        async with aiohttp.ClientSession() as http, http.get(f"{service.url}/metrics") as page:
            families = text_string_to_metric_families(await page.text())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "parlante_answer_wait_seconds_count"
        )

    before = await answers()
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await ask(peer, speaker, "Is there somewhere to leave my car?")
        [told] = [
            m["data"]
            for m in peer.messages
            if m["type"] == "server-message" and m["data"]["type"] == "turn-latency"
        ]
    assert sum(told["stages_ms"].values()) == pytest.approx(told["total_ms"], abs=5)
    assert await answers() == before + 1
