"""Calls at the same time, of which some go wrong."""

import asyncio
import re
from pathlib import Path
from typing import Any

from aiohttp import web

from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_transcript import read
from tests.service import run_service
from tests.standins.openai_server import OpenAIStandin, run_openai_standin

TURNS = 3
SECRETS = ("marigold", "tamarind", "juniper")
BREAKS = "nightshade"


def echo(messages: list[Any]) -> str:
    """Answer with the word that was said; break down when it is a certain one."""
    [word] = re.findall(r"My word is (\w+)", messages[-1]["content"])
    if word == BREAKS:
        raise web.HTTPInternalServerError
    return f"You said {word}."


async def talk(peer: Peer, word: str) -> None:
    for _ in range(TURNS):
        seen = len(peer.messages)
        peer.send("send-text", {"content": f"My word is {word}"})
        await peer.hear_out(timeout=REPLY_SECS, after=seen)


async def break_again_and_again(peer: Peer, done: asyncio.Event) -> None:
    while not done.is_set():
        peer.send("send-text", {"content": f"My word is {BREAKS}"})
        await asyncio.sleep(0.3)


async def test_calls_go_on_beside_one_that_breaks_and_hear_nothing_of_each_other(
    tmp_path: Path,
) -> None:
    standin = OpenAIStandin(key="sk-standin", heard="", reply=echo)
    async with run_openai_standin(standin):
        environment = {"OPENAI_API_KEY": standin.key, "OPENAI_BASE_URL": standin.url}
        with run_service(tmp_path, environment=environment) as service:
            url, done = service.url, asyncio.Event()
            async with (
                connect(url) as broken,
                connect(url) as one,
                connect(url) as two,
                connect(url) as three,
            ):
                peers = (one, two, three)
                await asyncio.gather(
                    *(peer.hear_out(timeout=REPLY_SECS) for peer in (broken, *peers))
                )
                breaking = asyncio.create_task(break_again_and_again(broken, done))
                await asyncio.gather(
                    *(talk(peer, word) for peer, word in zip(peers, SECRETS, strict=True))
                )
                done.set()
                await breaking
                transcripts = [await read(url, peer.session_id) for peer in peers]
    broken_down = [chat for chat in standin.chats if BREAKS in chat["messages"][-1]["content"]]
    assert len(broken_down) > TURNS
    for peer, transcript, word in zip(peers, transcripts, SECRETS, strict=True):
        everything = str(peer.messages) + str(transcript)
        assert everything.count(f"You said {word}.") >= TURNS
        assert not [other for other in (*SECRETS, BREAKS) if other != word and other in everything]
