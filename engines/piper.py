"""A Piper voice that all sessions of a process share.

Piper is GPL-3.0; this module is imported only when the `local` extra is installed and used.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
from piper import PiperConfig, PiperVoice, SynthesisConfig


class PiperEngine:
    """A Piper voice, loaded once and run on one thread of its own.

    The thread is also what keeps espeak-ng safe, which turns text into phonemes and has one
    global state in a process.

    Args:
        path: The voice's `.onnx` file; its `.onnx.json` lies beside it.
        threads: CPU threads for one inference.

    Raises:
        FileNotFoundError: If one of the two files is missing.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait would take the core from the other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The arena keeps what sentences of all lengths took: 100 to 300 MB that nobody needs.
        options.enable_cpu_mem_arena = False
        # Looking for buffers that can be used twice takes 0.8 s at start, and finds nothing.
        options.enable_mem_reuse = False
        session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
        config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text("utf-8")))
        self._voice = PiperVoice(session=session, config=config)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="piper")

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that `speak` yields."""
        return self._voice.config.sample_rate

    async def speak(self, text: str, *, speed: float = 1.0) -> AsyncIterator[bytes]:
        """Yield the spoken text as 16-bit mono PCM, a piece for each sentence.

        Args:
            text: What to say.
            speed: 1.0 is the voice's own pace, 2.0 twice as fast.
        """
        loop = asyncio.get_running_loop()
        chunks = iter(self._voice.synthesize(text, SynthesisConfig(length_scale=1.0 / speed)))
        while chunk := await loop.run_in_executor(self._executor, next, chunks, None):
            yield chunk.audio_int16_bytes

    def warm_up(self) -> None:
        """Speak once to nobody, so that the first user does not wait for lazy set-up."""
        self._executor.submit(lambda: list(self._voice.synthesize("Ready."))).result()

    def close(self) -> None:
        """Stop the thread; a sentence that is under way is finished first."""
        self._executor.shutdown(wait=True, cancel_futures=True)
