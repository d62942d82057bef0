"""Fuzzes one target: `python -m tests.fuzz.one NAME STATUS [arguments of libFuzzer]`.

Our own code and Pipecat's serializers are instrumented; libav, jiter and protobuf are not, so that
what happens in there is found by chance, not by what was covered.
"""

import binascii
import json
import random
import re
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import atheris
import psutil

from runner import memory

INSTRUMENTED = [
    "engines.audio",
    "processors.protocols",
    "processors.rtvi_serializer",
    "bots.telephony",
    "bots.protocols",
    "pipecat.serializers",
]
WARM = 1000
"""Executions until what is loaded once has been loaded."""

TELL_EVERY = 500
LONGER_BYTES = 64
SOUND = re.compile(rb'"(?:data|payload|audio)": ?"([^"]*)"')

with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.targets import BETWEEN, TARGETS


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change an input; every other time the sound in a message, where letters were changed else."""
    chance = random.Random(seed)
    pieces = data.split(BETWEEN)
    at = chance.randrange(len(pieces))
    found = SOUND.search(pieces[at])
    if not found or chance.random() < 0.5:
        return bytes(atheris.Mutate(data, max_size))
    try:
        sound = b64decode(found[1])
    except binascii.Error:
        return bytes(atheris.Mutate(data, max_size))
    changed = b64encode(atheris.Mutate(sound, len(sound) + LONGER_BYTES))
    start, end = found.span(1)
    pieces[at] = pieces[at][:start] + changed + pieces[at][end:]
    return BETWEEN.join(pieces)[:max_size]


def main() -> None:
    """Fuzz until the time is up, or something is found."""
    memory.share_pools()
    name, status, *arguments = sys.argv[1:]
    target = TARGETS[name]()
    process = psutil.Process()
    executions = warm_bytes = 0

    def run(data: bytes) -> None:
        nonlocal executions, warm_bytes
        target.run(data)
        executions += 1
        if executions % TELL_EVERY:
            return
        memory.give_back()
        now_bytes = process.memory_info().rss
        if executions <= WARM:
            warm_bytes = now_bytes
        told = {"executions": executions, "grown_bytes": now_bytes - warm_bytes}
        Path(status).write_text(json.dumps(told))

    atheris.Setup([sys.argv[0], *arguments], run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
