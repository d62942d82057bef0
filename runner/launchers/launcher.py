"""Where the calls of a service are held: in its own process, or each in one of its own."""

from collections.abc import Callable
from typing import Protocol

from pipecat.runner.types import RunnerArguments
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.resources import Resources
from runner.host import CallPlan, SessionHost
from runner.launchers.pool import BotProcesses
from runner.launchers.template import Template
from runner.lines import EndReason
from runner.sockets import SocketConnection


class HeldCall(Protocol):
    """A call that is under way."""

    async def until_ended(self) -> None:
        """Wait for its end; giving up does not end it."""


class Launcher(Protocol):
    """Starts the calls of sessions, and knows of them until they have ended.

    It tells of the end of every call. Where errors are not named, see `SessionHost`.
    """

    def reconfigure(self, resources: Resources) -> None:
        """Make calls of other resources from now on; those under way keep theirs."""

    async def offer(self, plan: CallPlan, request: SmallWebRTCRequest) -> dict[str, str]:
        """Answer an offer: start the call, or renegotiate the one that is under way."""

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Take ICE candidates that a client found after its offer."""

    async def join(self, plan: CallPlan, socket: SocketConnection, transport: str) -> HeldCall:
        """Start the call of a client that has opened a WebSocket."""

    async def attend(
        self, plan: CallPlan, bot: RunnerArguments, *, ends_with_client: bool = False
    ) -> None:
        """Start the call of a session in a room at another service, where the bot waits."""

    @property
    def can_begin(self) -> bool:
        """Whether another call could be held; it says nothing of how many there may be."""

    def has_call(self, session_id: str) -> bool:
        """Say whether a session has a call now."""

    def clients(self, session_id: str) -> int:
        """Return how many are connected with a session's bot."""

    def session_of(self, pc_id: str | None) -> str | None:
        """Return the session whose connection `pc_id` is; None if there is none."""

    async def stop(self, session_id: str, reason: EndReason = EndReason.STOPPED) -> None:
        """End a call and wait until it has ended; do nothing if there is none."""

    async def drain(self, timeout_secs: float) -> None:
        """Let calls go on for so long, then tell those that are left, and end them."""

    async def close(self) -> None:
        """End all calls and wait until they have ended."""


def make_launcher(
    resources: Resources,
    template: Template | None,
    *,
    on_end: Callable[[str, EndReason], None],
    on_lag: Callable[[float], None],
) -> Launcher:
    """Return where calls are held.

    Args:
        resources: What calls share.
        template: What a process for each call is forked of; None to hold all in this process.
        on_end: Told of the end of every call, with the session's id.
        on_lag: Told how late the event loops of processes were, in seconds.
    """
    if template:
        return BotProcesses(template, resources, on_end=on_end, on_lag=on_lag)
    return SessionHost(resources, on_end=on_end)
