"""The calls of one process: each is one supervised task with a media connection."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fastapi import HTTPException
from loguru import logger
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.smallwebrtc.connection import IceServer, SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from bots.call import Call, Conversation, make_transport
from bots.config import LimitConfig
from bots.errors import ParlanteError
from bots.registry import Bot
from bots.resources import Resources
from processors.voice_state import State
from runner.errors import ConnectionFailed, SessionNotFound

WATCH_INTERVAL_SECS = 1.0
"""How often a call's connection and age are looked at."""

_BROKEN_SDP = (AssertionError, AttributeError, IndexError, KeyError)
"""aiortc has no error of its own for an SDP that it cannot read."""

STOP_GRACE_SECS = 5.0
"""How long a pipeline may take to stop, before it is cancelled a second time."""


class EndReason(StrEnum):
    """Why a call ended."""

    CLIENT_LEFT = "client_left"
    """The client hung up."""
    PEER_LOST = "peer_lost"
    """The client went silent, or away, without a word."""
    NEVER_JOINED = "never_joined"
    """The client made an offer and did not connect."""
    MAX_DURATION = "max_duration"
    """The call reached its longest duration."""
    STOPPED = "stopped"
    """The service ended it."""
    ERROR = "error"
    """The bot failed; the log says how."""


@dataclass(frozen=True)
class Health:
    """What is seen of a call when it is looked at; times in seconds, on one clock."""

    now: float
    started_at: float
    connected_at: float | None
    lost_at: float | None


def end_reason(health: Health, limits: LimitConfig) -> EndReason | None:
    """Decide whether a call must be ended now, and why; None lets it go on."""
    if health.now - health.started_at > limits.session_duration:
        return EndReason.MAX_DURATION
    if health.connected_at is None and health.now - health.started_at > limits.join_timeout:
        return EndReason.NEVER_JOINED
    if health.lost_at is not None and health.now - health.lost_at > limits.lost_peer_timeout:
        return EndReason.PEER_LOST
    return None


@dataclass
class _Line:
    """One call under supervision."""

    connection: SmallWebRTCConnection
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: asyncio.Task[None] | None = None


class SessionHost:
    """Answers WebRTC offers and holds the calls that come of them.

    Args:
        resources: What calls share.
        on_state: Told of every state of every call, with the session's id.
        on_end: Told of the end of every call, with the session's id.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        on_state: Callable[[str, State], None],
        on_end: Callable[[str, EndReason], None],
    ) -> None:
        self._resources = resources
        self._limits = resources.settings.voice.realtime.limits
        self._on_state = on_state
        self._on_end = on_end
        self._lines: dict[str, _Line] = {}
        self._webrtc = SmallWebRTCRequestHandler(
            ice_servers=[
                IceServer(**server.model_dump())
                for server in resources.settings.voice.realtime.ice_servers
            ]
        )

    async def offer(self, session_id: str, bot: Bot, request: SmallWebRTCRequest) -> dict[str, str]:
        """Answer an offer: start the call, or renegotiate the one that is under way.

        Args:
            session_id: Whose offer it is.
            bot: Who answers a new call.
            request: The client's offer.

        Returns:
            `sdp`, `type` and `pc_id` of the answer.

        Raises:
            SessionNotFound: If the offer is for a connection of another session.
            ConnectionFailed: If the offer cannot be answered.
        """
        line = self._lines.get(session_id)
        if line and request.pc_id != line.connection.pc_id:
            # The page was reloaded: the old connection is of no use to anybody.
            await self.stop(session_id)
        elif not line and request.pc_id:
            raise SessionNotFound("this connection has ended: start a new session")

        failure: ParlanteError | None = None

        async def start(connection: SmallWebRTCConnection) -> None:
            # Pipecat's handler swallows what is raised here, and answers all the same.
            nonlocal failure
            try:
                await self._start(session_id, bot, connection)
            except ParlanteError as error:
                failure = error
                await connection.disconnect()

        try:
            answer = await self._webrtc.handle_web_request(request, start)
        except (HTTPException, ValueError, RuntimeError, *_BROKEN_SDP) as error:
            raise failure or ConnectionFailed(f"the offer cannot be answered: {error}") from error
        if failure:
            raise failure
        assert answer is not None
        return answer

    def session_of(self, pc_id: str | None) -> str | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        for session_id, line in self._lines.items():
            if line.connection.pc_id == pc_id:
                return session_id
        return None

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Take ICE candidates that a client found after its offer.

        Raises:
            SessionNotFound: If the connection has ended.
            ConnectionFailed: If a candidate cannot be read.
        """
        try:
            await self._webrtc.handle_patch_request(request)
        except HTTPException as error:
            raise SessionNotFound("this connection has ended: start a new session") from error
        except (ValueError, AssertionError, IndexError) as error:
            raise ConnectionFailed(f"a candidate cannot be read: {error}") from error

    async def stop(self, session_id: str) -> None:
        """End a call and wait until it has ended; do nothing if there is none."""
        if line := self._lines.get(session_id):
            line.stop.set()
            assert line.supervisor
            await asyncio.shield(line.supervisor)

    async def close(self) -> None:
        """End all calls and wait until they have ended."""
        await asyncio.gather(*(self.stop(session_id) for session_id in list(self._lines)))
        await self._webrtc.close()

    async def _start(self, session_id: str, bot: Bot, connection: SmallWebRTCConnection) -> None:
        """Make the bot and let it wait for its client.

        Raises:
            ParlanteError: If it cannot be made.
        """

        async def on_state(state: State) -> None:
            self._on_state(session_id, state)

        transport = await make_transport(
            SmallWebRTCRunnerArguments(webrtc_connection=connection, session_id=session_id)
        )
        call = Call(session_id, transport, self._resources, on_state)
        line = _Line(connection)
        line.supervisor = asyncio.create_task(
            self._supervise(session_id, Conversation(bot, call), line), name=f"session {session_id}"
        )
        self._lines[session_id] = line

    async def _supervise(self, session_id: str, conversation: Conversation, line: _Line) -> None:
        """Own the task of one call, from its start to its end."""
        with logger.contextualize(session=session_id):
            call = asyncio.create_task(conversation.hold())
            reason = EndReason.STOPPED
            try:
                reason = await self._watch(call, line) or await _outcome(call)
            finally:
                await _stop(call)
                await line.connection.disconnect()
                if self._lines.get(session_id) is line:
                    del self._lines[session_id]
                logger.info("the call has ended: {}", reason.value)
                self._on_end(session_id, reason)

    async def _watch(self, call: asyncio.Task[None], line: _Line) -> EndReason | None:
        """Wait for a reason to end the call; None when it ends by itself."""
        started_at = time.monotonic()
        connected_at = lost_at = None
        stop = asyncio.create_task(line.stop.wait())
        try:
            while True:
                await asyncio.wait(
                    {call, stop},
                    timeout=WATCH_INTERVAL_SECS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if call.done():
                    return None
                if stop.done():
                    return EndReason.STOPPED
                now = time.monotonic()
                if line.connection.is_connected():
                    connected_at, lost_at = connected_at or now, None
                elif connected_at is not None:
                    lost_at = lost_at or now
                health = Health(now, started_at, connected_at, lost_at)
                if reason := end_reason(health, self._limits):
                    return reason
        finally:
            stop.cancel()
            await asyncio.gather(stop, return_exceptions=True)


async def _outcome(call: asyncio.Task[None]) -> EndReason:
    """Say how a call ended by itself; this is where the errors of bots end."""
    try:
        await call
    except ParlanteError as error:
        logger.error("{}: {}", error.code, error.message)
        return EndReason.ERROR
    except Exception:  # noqa: BLE001 - a bot is anybody's code: it must not take the service down
        logger.exception("the bot failed")
        return EndReason.ERROR
    return EndReason.CLIENT_LEFT


async def _stop(call: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends, or give it up with a word in the log."""
    for _ in range(2):
        if call.done():
            return
        call.cancel()
        await asyncio.wait({call}, timeout=STOP_GRACE_SECS)
    if not call.done():
        logger.critical("the pipeline does not stop: it is abandoned")
