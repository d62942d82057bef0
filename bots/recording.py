"""The sound of a call, kept in a file: its user on the left, the bot on the right."""

import asyncio
from pathlib import Path

import av
import numpy as np
from av import AudioFrame
from av.audio.stream import AudioStream
from loguru import logger
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor

RATE_HZ = 24_000
CHANNELS = 2
BIT_RATE = 48_000
PIECE_SECS = 1
PIECE_BYTES = PIECE_SECS * RATE_HZ * 2
"""Of one channel, 16-bit: how much is written at once."""

MOST_UNWRITTEN = 60
"""Pieces that may wait for the disk; beyond, they are lost, because calls must not wait for it."""


class Recording:
    """Writes a call to an Ogg file with Opus, as it goes on; what is written can be played.

    Args:
        path: The file; its folder is made.

    Attributes:
        processor: Hears the call; to stand where the sound of both comes by.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_UNWRITTEN)
        self._writer: asyncio.Task[None] | None = None
        self.processor = AudioBufferProcessor(
            sample_rate=RATE_HZ,
            num_channels=CHANNELS,
            buffer_size=PIECE_BYTES,
            auto_start_recording=True,
        )

        @self.processor.event_handler("on_audio_data")
        async def on_audio_data(_processor: object, pcm: bytes, _rate: int, _channels: int) -> None:
            if self._pieces.full():
                logger.warning("the recording lacks a piece: the disk is slow")
            else:
                self._pieces.put_nowait(pcm)

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what is left, and close the file."""
        if self._writer:
            await self._pieces.put(None)
            await self._writer

    async def _write(self) -> None:
        try:
            await self._write_file()
        except (OSError, av.FFmpegError) as error:
            logger.error("the call is not recorded any more: {}", error)
            while await self._pieces.get():
                pass

    async def _write_file(self) -> None:
        file = await asyncio.to_thread(_OggFile, self._path)
        try:
            while pcm := await self._pieces.get():
                await asyncio.to_thread(file.write, pcm)
        finally:
            await asyncio.to_thread(file.close)


class _OggFile:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", format="ogg", options={"flush_packets": "1"})
        stream = self._container.add_stream("libopus", rate=RATE_HZ, layout="stereo")
        assert isinstance(stream, AudioStream)
        stream.bit_rate = BIT_RATE
        self._stream = stream
        self._samples = 0

    def write(self, pcm: bytes) -> None:
        """Write 16-bit stereo at 24 kHz."""
        frame = AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16)[None], "s16", "stereo")
        frame.sample_rate, frame.pts = RATE_HZ, self._samples
        self._samples += frame.samples
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still has."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
