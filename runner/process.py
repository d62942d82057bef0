"""How each process of the service starts, and where its log goes."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loguru import logger

from bots.config import LoggingConfig

if TYPE_CHECKING:
    import loguru

STARTING_SWITCH_SECS = 0.0005

HARMLESS = (
    "No video transceiver",
    "No screen video transceiver",
    "Media stream error while reading the audio",
    "Timeout: No audio frame received",
)


@contextmanager
def quick_start() -> Iterator[None]:
    """Import and load faster: look for no garbage, and let threads take turns more often.

    A thread that loads a model needs Python for moments only, and waited 5 ms for each of them.
    """
    interval_secs = sys.getswitchinterval()
    sys.setswitchinterval(STARTING_SWITCH_SECS)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(interval_secs)


def spare_the_collector() -> None:
    """Take what is there now out of the reach of Python's garbage collector: it stays for good.

    A full collection would look through all of it, which stops every call for 150 ms, and would
    come too seldom: only when a quarter as much again has been left behind.
    """
    gc.collect()
    gc.freeze()


def is_worth_logging(record: "loguru.Record") -> bool:
    """Leave out Pipecat's greeting, and what it warns of in every good call.

    The latter are that there is no video, and that a microphone ends.
    """
    name = record["name"] or ""
    harmless = name.startswith("pipecat.transports.smallwebrtc") and record["message"].startswith(
        HARMLESS
    )
    return name != "pipecat" and not harmless


def setup_logging(config: LoggingConfig) -> None:
    """Send the log to standard error; Pipecat logs what people say at DEBUG."""
    logger.remove()
    logger.configure(extra={"session": "-"})
    logger.add(
        sys.stderr,
        level=config.level,
        filter=is_worth_logging,
        # Variables in tracebacks would put keys and conversations into the log.
        diagnose=False,
        format="<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> "
        "<dim>{extra[session]:.8}</dim> {message} <dim>({name}:{line})</dim>",
    )
