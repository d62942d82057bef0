"""A client without WebRTC calls the receptionist of the real service over a WebSocket."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from bots.config import AnnouncementConfig
from runner.clients.client import SAMPLE_RATE_HZ
from runner.peer import connect
from tests.integration.test_call import ask
from tests.integration.test_lifecycle import CLOSED_TAB_SECS
from tests.service import Service, get, run_service, until_no_session
from tests.socket_peer import audio, connect_by_socket, join_by_socket, start
from tests.speech import GREETING_VOICED_SECS, Speaker, rms, voiced_secs, words_wrong

REPLY_SECS = 30
REFUSED = 4003
TOO_BIG = 1009
HUNG_UP = 1000
RESTARTING = 1012
STRETCH = 20
QUESTION = "Is there somewhere to leave my car?"


@pytest.fixture(autouse=True)
async def no_other_call(service: Service) -> None:
    await until_no_session(service.url, timeout=CLOSED_TAB_SECS)


async def test_the_bot_falls_silent_when_the_user_speaks_over_it(
    service: Service, speaker: Speaker
) -> None:
    async with connect_by_socket(service.url) as peer:
        await peer.wait_for(lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS)
        await peer.microphone.say(await speaker.say("Sorry, one moment, are you open on Sunday?"))
        [cut] = peer.interrupted_at
        assert rms(np.concatenate(peer.heard[cut - 5 : cut])) > 0, "the bot was speaking"
        assert not peer.heard[cut:], "nothing comes after"


async def test_two_calls_over_socket_and_webrtc_are_answered_in_sound_and_stay_apart(
    service: Service, speaker: Speaker
) -> None:
    async with connect_by_socket(service.url) as one, connect(service.url) as two:
        await asyncio.gather(one.hear_out(timeout=REPLY_SECS), two.hear_out(timeout=REPLY_SECS))
        assert voiced_secs(np.concatenate(one.heard)) > GREETING_VOICED_SECS, "the greeting"
        took_secs = one.heard_at[-1] - one.heard_at[0]
        lasts_secs = sum(piece.size for piece in one.heard) / SAMPLE_RATE_HZ
        assert took_secs > lasts_secs - 0.5, "no faster than it is played"
        # A slow voice and a busy machine make gaps, but not everywhere.
        piece_secs = lasts_secs / len(one.heard)
        at = np.array(one.heard_at)
        stretch_secs = np.min(at[STRETCH:] - at[:-STRETCH])
        assert stretch_secs < 1.1 * STRETCH * piece_secs, "nor any slower"
        (heard_one, answer_one, voiced), (heard_two, answer_two, _) = await asyncio.gather(
            ask(one, speaker, QUESTION), ask(two, speaker, "Are you open on Sunday?")
        )
    assert words_wrong(QUESTION, heard_one) <= 1
    assert "free" in answer_one.lower() or "behind" in answer_one.lower()
    assert voiced > 1
    assert "sunday" in heard_two.lower()
    assert "park" not in answer_two.lower()
    assert "Facts" not in str(one.messages), "what the model is told stays in the service"
    await until_no_session(service.url, timeout=3)


async def refusal(address: str, origin: str | None = None) -> tuple[int, str]:
    """Open a socket that is not wanted; return the code and reason that it is closed with."""
    async with open_socket(address, origin=origin) as socket:  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
    assert closed.value.rcvd
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_session_that_is_not_there_is_refused(service: Service) -> None:
    base = service.url.replace("http", "ws")
    for path in ("/ws-client", "/ws-client/of-nobody"):
        code, reason = await refusal(base + path)
        assert code == REFUSED
        assert "no such session" in reason
    address = await start(service.url)
    async with open_socket(address) as joined:
        assert not joined.protocol.extensions, "a few bytes cannot become a large message"
    await until_no_session(service.url, timeout=3)
    async with open_socket(address) as again:
        assert await asyncio.wait_for(again.recv(), REPLY_SECS), "nobody has hung up"
    async with connect(service.url) as by_webrtc:
        code, reason = await refusal(f"{base}/ws-client/{by_webrtc.session_id}")
    assert (code, "held over webrtc" in reason) == (REFUSED, True)
    token = address.rpartition("/")[2]
    await http_delete(f"{service.url}/voice/realtime/session/{token}")
    assert (await refusal(address))[0] == REFUSED, "it has ended"


async def test_a_client_that_comes_again_takes_the_place_of_its_old_connection(
    service: Service,
) -> None:
    address = await start(service.url)
    async with join_by_socket(address) as old:
        await old.hear_out(timeout=REPLY_SECS)
        async with join_by_socket(address) as new:
            await asyncio.wait_for(old.closed.wait(), 1)
            assert old.socket.close_code == REFUSED
            assert "at another connection" in (old.socket.close_reason or "")
            await new.hear_out(timeout=REPLY_SECS)
            said = " ".join(m["data"]["text"] for m in new.messages if m["type"] == "bot-tts-text")
            assert said == AnnouncementConfig().back
    await until_no_session(service.url, timeout=3)


async def http_delete(url: str) -> None:
    async with aiohttp.ClientSession() as http, http.delete(url) as response:
        assert response.status == 204


async def test_pages_of_other_origins_are_refused(service: Service) -> None:
    address = await start(service.url)
    for origin in ("https://example.com", "http://localhost:1", "null"):
        code, reason = await refusal(address, origin)
        assert code == REFUSED
        assert origin in reason
    async with open_socket(address, origin=service.url) as socket:  # type: ignore[arg-type]
        assert await asyncio.wait_for(socket.recv(), REPLY_SECS), "its own page is let in"


async def test_what_cannot_be_taken_is_answered_and_the_call_goes_on(service: Service) -> None:
    frame = frames_pb2.Frame
    bad = {
        "not a frame": b"\xff\xff\xff",
        "clients send": frame(text=frames_pb2.TextFrame(text="I am the bot")).SerializeToString(),
        "16-bit mono": audio(bytes(640), rate_hz=48_000),
        "16-bit mono at": audio(bytes(640), channels=2),
        "16-bit": audio(bytes(3)),
        "JSON": frame(message=frames_pb2.MessageFrame(data="3")).SerializeToString(),
        "JSON object": frame(message=frames_pb2.MessageFrame(data="{")).SerializeToString(),
    }
    async with connect_by_socket(service.url) as peer:
        for words, message in bad.items():
            before = len(peer.messages)
            await peer.socket.send(message)
            error = await peer.wait_for(lambda m: m["type"] == "error", timeout=5, after=before)
            assert words in error["data"]["error"]
            assert error["data"]["fatal"] is False
        await peer.socket.send("text")
        assert not peer.closed.is_set()
        assert not [m for m in peer.messages if "I am the bot" in str(m)]


async def test_a_message_above_the_limit_closes_the_call(service: Service) -> None:
    async with connect_by_socket(service.url) as peer:
        await peer.socket.send(audio(bytes(1024 * 1024 + 1)))
        await asyncio.wait_for(peer.closed.wait(), 5)
    assert peer.socket.close_code == TOO_BIG
    await until_no_session(service.url, timeout=3)


async def test_a_socket_that_is_dropped_without_a_word_frees_its_session(
    service: Service,
) -> None:
    async with open_socket(await start(service.url)) as socket:
        assert await asyncio.wait_for(socket.recv(), REPLY_SECS)
        assert (await get(f"{service.url}/ready"))["sessions"] == 1
        socket.transport.abort()
        await until_no_session(service.url, timeout=3)


@pytest.mark.long
async def test_long_calls_and_calls_of_a_service_that_is_stopped_are_ended(
    tmp_path: Path,
) -> None:
    limits = {
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSION_DURATION": "4",
        "PARLANTE_VOICE__REALTIME__LIMITS__JOIN_TIMEOUT": "2",
    }
    with run_service(tmp_path, environment=limits) as service:
        async with connect_by_socket(service.url) as peer:
            await asyncio.wait_for(peer.closed.wait(), REPLY_SECS)
            assert peer.socket.close_code == HUNG_UP
        await until_no_session(service.url, timeout=3)
        assert "max_duration" in service.log
        assert "nobody joined" not in service.log
        async with connect_by_socket(service.url) as peer:
            await peer.wait_for_state("listening", timeout=20)
            service.process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(service.process.wait, 20) == 0
            await asyncio.wait_for(peer.closed.wait(), 5)
            assert peer.socket.close_code == RESTARTING
    assert "Traceback" not in service.log
