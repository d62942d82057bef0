"""What a caller hears beside the bot's voice."""

from pathlib import Path

import aiohttp
import numpy as np

from runner.clients.client import SAMPLE_RATE_HZ
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS
from tests.service import run_service
from tests.socket_peer import connect_by_socket
from tests.speech import rms
from tests.standins.openai_server import TONE_HZ, OpenAIStandin, always, run_openai_standin

AUDIO = "PARLANTE_VOICE__REALTIME__AUDIO"
THINKS_SECS = 2.0
WISHES = {"enable_thinking_sound": True, "thinking_volume": 1.0}


def heard_between(peer: Peer, start: int, end: int) -> np.ndarray:
    return np.concatenate(peer.heard[start:end])


def tone_share(sound: np.ndarray) -> float:
    """Return which share of a sound is the voice of the stand-in."""
    power = np.abs(np.fft.rfft(sound.astype(float))) ** 2
    hz = np.fft.rfftfreq(sound.size, 1 / SAMPLE_RATE_HZ)
    return float(power[np.abs(hz - TONE_HZ) < 20].sum() / power.sum())


async def test_ambience_is_heard_in_the_whole_call_and_that_the_bot_thinks_until_it_speaks(
    tmp_path: Path,
) -> None:
    standin = OpenAIStandin(
        key="sk-standin", heard="", reply=always("It is free."), thinks_secs=THINKS_SECS
    )
    async with run_openai_standin(standin):
        environment = {
            "OPENAI_API_KEY": standin.key,
            "OPENAI_BASE_URL": standin.url,
            f"{AUDIO}__AMBIENCE__ENABLED": "true",
            f"{AUDIO}__THINKING__SOUND": "pulse",
        }
        with run_service(tmp_path, environment=environment) as service:
            async with (
                aiohttp.ClientSession(service.url) as http,
                http.put("/voice/realtime/config", json=WISHES) as answer,
            ):
                assert (await answer.json())["thinking_volume"] == 1.0
            async with connect(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                greeted = len(peer.heard)
                seen = len(peer.messages)
                await peer.microphone.say(np.zeros(SAMPLE_RATE_HZ, np.int16))
                assert rms(heard_between(peer, greeted, len(peer.heard))) > 30, "ambience"
                assert not [m for m in peer.messages[seen:] if m["type"] == "bot-started-speaking"]

                peer.send("send-text", {"content": "What does it cost?"})
                await peer.wait_for_state("thinking", timeout=REPLY_SECS, after=seen)
                thinks = len(peer.heard)
                await peer.wait_for_state("speaking", timeout=REPLY_SECS, after=seen)
                speaks = len(peer.heard)
                await peer.hear_out(timeout=REPLY_SECS, after=seen)
                silent = len(peer.heard)
                await peer.microphone.say(np.zeros(SAMPLE_RATE_HZ, np.int16))

    ambience = rms(heard_between(peer, silent, len(peer.heard)))
    thinking = heard_between(peer, thinks, speaks)
    assert rms(thinking) > 5 * ambience > 0
    said = heard_between(peer, speaks + 10, silent - 10)
    assert tone_share(thinking) < 0.1
    assert tone_share(said) > 0.9, "the voice alone is as loud"


async def test_where_nothing_is_to_be_heard_nothing_is_sent(tmp_path: Path) -> None:
    standin = OpenAIStandin(key="sk-standin", heard="", reply=always("It is free."))
    async with run_openai_standin(standin):
        environment = {
            "OPENAI_API_KEY": standin.key,
            "OPENAI_BASE_URL": standin.url,
            f"{AUDIO}__THINKING__ENABLED": "true",
        }
        with run_service(tmp_path, environment=environment) as service:
            async with connect_by_socket(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                await peer.microphone.say(np.zeros(SAMPLE_RATE_HZ, np.int16))
                greeted = len(peer.heard)
                await peer.microphone.say(np.zeros(SAMPLE_RATE_HZ, np.int16))
                assert len(peer.heard) == greeted
