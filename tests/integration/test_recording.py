"""The sound of a session, as it is kept: who speaks on which side, and when."""

import io
from pathlib import Path

import aiohttp
import av
import numpy as np
import numpy.typing as npt
import pytest

from runner.peer import connect
from runner.session import session_id_of
from tests.integration.test_call import REPLY_SECS, ask
from tests.service import Service, run_service, until_no_session
from tests.speech import Speaker, voiced_secs

pytestmark = pytest.mark.long

RECORDED = {"PARLANTE_VOICE__REALTIME__RECORDING": "true"}
QUESTION = "What are your opening hours?"


async def fetch(service: Service, token: str) -> bytes:
    url = f"{service.url}/voice/realtime/session/{session_id_of(token)}/recording"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert (response.status, response.content_type) == (200, "audio/ogg")
        return await response.read()


def sides(ogg: bytes) -> list[npt.NDArray[np.int16]]:
    """Return what is on the left and on the right, 16-bit at 48 kHz."""
    resampler = av.AudioResampler("s16p", "stereo", 48_000)
    with av.open(io.BytesIO(ogg)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    left, right = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    return [left, right]


async def test_the_user_is_on_the_left_and_the_bot_on_the_right(
    tmp_path: Path, speaker: Speaker
) -> None:
    with run_service(tmp_path, "--profile", "offline", environment=RECORDED) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            _, _, answered_secs = await ask(peer, speaker, QUESTION)
            so_far = await fetch(service, peer.session_id)
            await peer.drop()
            greeting_and_answer = voiced_secs(np.concatenate(peer.heard))
            await until_no_session(service.url, timeout=15)
        ogg = await fetch(service, peer.session_id)
        asked_secs = voiced_secs(await speaker.say(QUESTION))

        # The same session once more: a second file, behind the first.
        async with connect(service.url, session_id=peer.session_id) as again:
            await again.hear_out(timeout=REPLY_SECS)
        longer = await fetch(service, peer.session_id)

    left, right = sides(ogg)
    assert voiced_secs(left) == pytest.approx(asked_secs, abs=0.4)
    assert voiced_secs(right) == pytest.approx(greeting_and_answer, abs=0.8)
    assert answered_secs < voiced_secs(right)
    loud = [np.flatnonzero(np.abs(side.astype(int)) > 1000) for side in (left, right)]
    assert loud[1][0] < loud[0][0] < loud[1][-1], "a greeting, then the question, then the answer"
    assert 0 < len(so_far) < len(ogg)
    assert longer.startswith(ogg)
    assert voiced_secs(sides(longer[len(ogg) :])[1]) > 0.3


async def test_a_session_that_is_not_recorded_has_no_sound(service: Service) -> None:
    async with connect(service.url) as peer:
        await peer.wait_for_state("speaking", timeout=20)
    url = f"{service.url}/voice/realtime/session/{session_id_of(peer.session_id)}/recording"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "RECORDING_NOT_FOUND"
