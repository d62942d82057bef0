"""Clients for the terminal and for tests."""

from runner.cli import TALK_PROTOCOLS
from runner.clients.dial import PROTOCOLS


def test_the_command_line_knows_every_protocol() -> None:
    assert TALK_PROTOCOLS == PROTOCOLS
