"""What Chromium records of a microphone; `python -m tests.recorder` keeps it for unit tests."""

import asyncio
import base64
import tempfile
from pathlib import Path

import numpy as np
from playwright.async_api import Route

from runner.peer import Pcm
from runner.talk import SAMPLE_RATE_HZ, write_audio
from tests.browser import chromium

FOLDER = Path(__file__).parent / "recordings"
MIME_TYPES = {"webm": "audio/webm;codecs=opus", "mp4": "audio/mp4;codecs=opus"}
TONE_HZ = 440
SECS = 2
CHUNK_MS = 250

RECORD = """
async ([mimeType, secs, chunkMs]) => {
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const recorder = new MediaRecorder(await navigator.mediaDevices.getUserMedia({ audio }), {
    mimeType,
  });
  const chunks = [];
  recorder.ondataavailable = ({ data }) => chunks.push(data.arrayBuffer());
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start(chunkMs);
  setTimeout(() => recorder.stop(), secs * 1000);
  await stopped;
  const bytes = (await Promise.all(chunks)).map((chunk) => new Uint8Array(chunk));
  return bytes.map((chunk) => btoa(String.fromCharCode(...chunk)));
}
"""


def tone(secs: float) -> Pcm:
    """Return a tone at the rate of `write_audio`."""
    at = np.arange(round(secs * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (8_000 * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)


async def record(mime_type: str, folder: Path) -> list[bytes]:
    """Return what MediaRecorder gives for a tone, in chunks as E1 clients send them.

    Args:
        mime_type: What to record.
        folder: Where the tone may be written.
    """
    wav = folder / "tone.wav"
    write_audio(wav, tone(SECS + 3))
    async with chromium("fake", wav) as browser:
        page = await browser.new_page()
        # Microphones are for pages of a secure origin.
        await page.route("http://localhost/", _empty_page)
        await page.goto("http://localhost/")
        chunks = await page.evaluate(RECORD, [mime_type, SECS, CHUNK_MS])
    return [base64.b64decode(chunk) for chunk in chunks]


async def _empty_page(route: Route) -> None:
    await route.fulfill(content_type="text/html", body="<p>")


async def main() -> None:
    """Write a file of each kind."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, mime_type in MIME_TYPES.items():
            chunks = await record(mime_type, Path(folder))
            (FOLDER / f"chromium.{name}").write_bytes(b"".join(chunks))


if __name__ == "__main__":
    asyncio.run(main())
