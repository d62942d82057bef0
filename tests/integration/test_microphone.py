"""`talk` with the microphone and the loudspeaker of a sound server that has no hardware."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from runner.clients.client import SAMPLE_RATE_HZ
from runner.talk import write_audio
from tests.service import ROOT, Service
from tests.speech import GREETING_VOICED_SECS, Speaker, voiced_secs

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("pulseaudio", "parec", "paplay"))),
    reason="needs Debian's packages pulseaudio, libasound2-plugins and libportaudio2",
)

REPLY_SECS = 30
GREETING_SECS = 6.0
"""The end of the greeting is printed when it begins to sound."""
SOUND_SERVER = (
    *("pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no"),
    *("-L", "module-null-sink sink_name=loudspeaker norewinds=1"),
    *("-L", "module-null-sink sink_name=microphone norewinds=1"),
    *("-L", "module-native-protocol-unix"),
)
"""Where a program is late, a sink plays silence two seconds ahead and takes back what has not
sounded yet. That cannot be taken back from a recording of it; without rewinds it is 50 ms."""


@asynccontextmanager
async def program(*command: str, **options: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 10)


@pytest.fixture
async def sound_server(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Yield the environment in which programs find it."""
    (tmp_path / ".asoundrc").write_text(
        "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
    )
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PULSE_SINK": "loudspeaker",
        "PULSE_SOURCE": "microphone.monitor",
    }
    os.chmod(tmp_path, 0o700)
    async with program(*SOUND_SERVER, env=environment):
        async with asyncio.timeout(10):
            while not (tmp_path / "pulse" / "native").exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        yield environment


async def line_with(output: asyncio.StreamReader, word: str) -> str:
    async with asyncio.timeout(REPLY_SECS):
        while word not in (line := (await output.readline()).decode()):
            assert line, f"the talk ended without: {word}"
    return line


async def test_it_hears_the_microphone_and_speaks_through_the_loudspeaker(
    service: Service, speaker: Speaker, sound_server: dict[str, str], tmp_path: Path
) -> None:
    question = tmp_path / "question.wav"
    write_audio(question, await speaker.say("What time do you open on Saturday?"))
    say = ("paplay", "-d", "microphone")
    record = ("parec", "-d", "loudspeaker.monitor", "--format=s16le", "--channels=1")
    talk = (sys.executable, "-m", "runner", "talk", "--url", service.url)
    with (tmp_path / "played.raw").open("wb") as played:
        async with (
            program(*record, f"--rate={SAMPLE_RATE_HZ}", env=sound_server, stdout=played),
            program(*talk, env=sound_server, stdout=asyncio.subprocess.PIPE) as talking,
        ):
            assert talking.stdout
            await line_with(talking.stdout, "how can I help")
            await asyncio.sleep(GREETING_SECS)
            async with program(*say, str(question), env=sound_server) as saying:
                await asyncio.wait_for(saying.wait(), REPLY_SECS)
            heard = await line_with(talking.stdout, "you:")
            await line_with(talking.stdout, "bot:")
    assert "saturday" in heard.lower()
    assert voiced_secs(np.fromfile(tmp_path / "played.raw", np.int16)) > GREETING_VOICED_SECS
