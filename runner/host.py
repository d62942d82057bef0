"""The calls of one process: each is one supervised task with a media connection."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

from aiortc import RTCIceServer
from fastapi import HTTPException
from loguru import logger
from pipecat.runner.types import (
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from bots.call import Conversation, make_call
from bots.config import PHONE_PROVIDERS, PhoneProvider, RealtimeConfig
from bots.errors import ParlanteError
from bots.listener import CallListener
from bots.registry import Bot
from bots.resources import Resources
from bots.telephony import Start, read_start
from processors.transcript import Past
from runner.errors import ConnectionFailed, SessionNotFound, SessionTaken
from runner.lines import Connection, EndReason, Line
from runner.recordings import next_recording
from runner.rooms.ice import IceServer, ice_servers
from runner.session import TOKEN_LIFETIME
from runner.sockets import SocketConnection

_BROKEN_SDP = (AssertionError, AttributeError, IndexError, KeyError)
"""aiortc has no error of its own for an SDP that it cannot read."""


FIRST_WORD_SECS = 10.0
"""How long an eval harness may take to say that it is one, and a phone call to begin."""


@dataclass(frozen=True)
class CallPlan:
    """What a call is made of.

    Attributes:
        session_id: Whose it is.
        bot_name: Who answers.
        bot: The same, loaded.
        listener: Told what happens in it.
        recall: Tells what was said in the session before.
        created_at: When the session was started.
        spent: What it has cost before this call.
    """

    session_id: str
    bot_name: str
    bot: Bot
    listener: CallListener
    recall: Callable[[], Awaitable[Past]]
    created_at: datetime
    spent: float = 0.0


def session_ice_servers(realtime: RealtimeConfig, session_id: str) -> list[IceServer]:
    """Return the STUN and TURN servers for either end of a session's calls.

    Credentials are good for as long as the session can last.
    """
    lifetime_secs = TOKEN_LIFETIME.total_seconds() + realtime.limits.session_duration
    return ice_servers(realtime.ice_servers, session_id, math.ceil(time.time() + lifetime_secs))


class InRoom:
    """The connection with the client of a bot that waits in a room at another service."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def clients(self) -> int:
        """How many are in the room with the bot."""
        return self._conversation.clients

    def is_connected(self) -> bool:
        """Say whether the client is in the room."""
        return self._conversation.clients > 0

    async def disconnect(self) -> None:
        """Leave it to the end of the pipeline, which leaves the room."""


class SessionHost:
    """Holds calls: of WebRTC offers and WebSockets that it answers, and in rooms elsewhere.

    Args:
        resources: What calls share.
        on_end: Told of the end of every call, with the session's id.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        on_end: Callable[[str, EndReason], None],
    ) -> None:
        self._on_end = on_end
        self._lines: dict[str, Line] = {}
        self._webrtc = SmallWebRTCRequestHandler()
        self.reconfigure(resources)

    def reconfigure(self, resources: Resources) -> None:
        """Make calls of other resources from now on; those under way keep theirs."""
        self._resources = resources
        self._realtime = resources.settings.voice.realtime
        self._data_dir = resources.settings.data_dir

    async def offer(self, plan: CallPlan, request: SmallWebRTCRequest) -> dict[str, str]:
        """Answer an offer: start the call, or renegotiate the one that is under way.

        Args:
            plan: What a new call is made of.
            request: The client's offer.

        Returns:
            `sdp`, `type` and `pc_id` of the answer.

        Raises:
            SessionNotFound: If the offer is for a connection of another session.
            ConnectionFailed: If the offer cannot be answered.
            DatabaseUnavailable: If what was said before cannot be had.
        """
        session_id = plan.session_id
        owner = self.session_of(request.pc_id)
        if owner not in (None, session_id):
            raise SessionNotFound("this session has no such connection: start a new one")
        if owner is None:
            # A new connection, also where the client's words are of one that has ended.
            request = replace(request, pc_id=None)
            await self._make_way(session_id)

        # What the bot's end goes by, if the offer makes a new one.
        servers = session_ice_servers(self._realtime, session_id)
        self._webrtc.update_ice_servers([RTCIceServer(**server.model_dump()) for server in servers])
        failure: ParlanteError | None = None

        async def start(connection: SmallWebRTCConnection) -> None:
            # Pipecat's handler swallows what is raised here, and answers all the same.
            nonlocal failure
            arguments = SmallWebRTCRunnerArguments(
                webrtc_connection=connection, session_id=session_id
            )
            try:
                await self._start(plan, connection, arguments)
            except ParlanteError as error:
                failure = error
            except Exception:  # noqa: BLE001 - a bot is anybody's code
                logger.exception("the bot of session {} cannot be made", session_id)
                failure = ConnectionFailed("the bot cannot be made: the log says why")
            if failure:
                await connection.disconnect()

        try:
            answer = await self._webrtc.handle_web_request(request, start)
        except (HTTPException, ValueError, RuntimeError, *_BROKEN_SDP) as error:
            raise failure or ConnectionFailed(f"the offer cannot be answered: {error}") from error
        if failure:
            raise failure
        assert answer is not None
        return answer

    @property
    def can_begin(self) -> bool:
        """Whether another call could be held: it always can."""
        return True

    def has_call(self, session_id: str) -> bool:
        """Say whether a session has a call now."""
        return session_id in self._lines

    def clients(self, session_id: str) -> int:
        """Return how many are connected with a session's bot; only a room holds several."""
        line = self._lines.get(session_id)
        if not line:
            return 0
        connection = line.connection
        return connection.clients if isinstance(connection, InRoom) else connection.is_connected()

    def session_of(self, pc_id: str | None) -> str | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        for session_id, line in self._lines.items():
            if pc_id is not None and _pc_id(line) == pc_id:
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

    async def join(self, plan: CallPlan, socket: SocketConnection, transport: str) -> Line:
        """Start the call of a client that has opened a WebSocket.

        Args:
            plan: What the call is made of.
            socket: The connection, accepted.
            transport: Whether it is a `websocket` of RTVI, of the `eval` harness or of a phone
                provider, or which of `PROTOCOLS` is spoken.

        Returns:
            The call, whose end is to be waited for: the server closes the socket after.

        Raises:
            SessionTaken: If another client of the session was faster.
            ConnectionFailed: If the client does not say what an eval harness, or the phone
                provider, begins with.
            ParlanteError: If the bot cannot be made.
        """
        await self._make_way(plan.session_id)
        arguments = WebSocketRunnerArguments(
            websocket=socket, session_id=plan.session_id, body={"bot": plan.bot_name}
        )
        if transport != "eval":
            arguments.transport_type = transport
            if transport in PHONE_PROVIDERS:
                arguments.call_data = await _start_of_stream(socket, transport)
            return await self._start(plan, socket, arguments)
        try:
            async with asyncio.timeout(FIRST_WORD_SECS):
                kind, _ = await parse_telephony_websocket(socket)
        except (TimeoutError, ValueError) as error:
            raise ConnectionFailed("nothing was said that an eval harness begins with") from error
        if kind != transport:
            raise ConnectionFailed(f"this is for an eval harness, not for '{kind}'")
        return await self._start(plan, socket, arguments)

    async def attend(
        self, plan: CallPlan, bot: RunnerArguments, *, ends_with_client: bool = False
    ) -> None:
        """Start the call of a session in a room at another service, where the bot waits.

        Args:
            plan: What the call is made of.
            bot: How the bot gets into the room.
            ends_with_client: Whether the call is over when its client leaves: else the bot waits
                for it to come back.

        Raises:
            ParlanteError: If the bot cannot be made.
        """
        await self._start(plan, None, bot, ends_with_client=ends_with_client)

    async def stop(self, session_id: str, reason: EndReason = EndReason.STOPPED) -> None:
        """End a call and wait until it has ended; do nothing if there is none."""
        if line := self._lines.get(session_id):
            await line.stop(reason)

    async def drain(self, timeout_secs: float) -> None:
        """Let calls go on for so long, then tell those that are left, and end them.

        A call whose client is not there now ends at once: it may come back to the next service.
        """
        lines = list(self._lines.values())
        deserted = [line for line in lines if not line.connection.is_connected()]
        await asyncio.gather(*(line.stop(EndReason.PEER_LOST) for line in deserted))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                await asyncio.gather(*(line.until_ended() for line in lines))
        await asyncio.gather(*(line.stop(EndReason.DRAINED) for line in lines))

    async def close(self) -> None:
        """End all calls and wait until they have ended."""
        await asyncio.gather(*(self.stop(session_id) for session_id in list(self._lines)))
        await self._webrtc.close()

    async def _make_way(self, session_id: str) -> None:
        """End the call that a session has, if any, because its client is here again.

        The old connection is of no use to anybody, and ends without the session.
        """
        if line := self._lines.pop(session_id, None):
            if isinstance(line.connection, SocketConnection):
                await line.connection.hand_over()
            await line.stop()

    async def _start(
        self,
        plan: CallPlan,
        connection: Connection | None,
        arguments: RunnerArguments,
        *,
        ends_with_client: bool = True,
    ) -> Line:
        """Make the bot and let it wait for its client, in a room if there is no connection.

        Raises:
            SessionTaken: If another client of the session was faster.
            ParlanteError: If the bot cannot be made.
        """
        session_id, rules = plan.session_id, self._realtime
        past = await plan.recall()
        call = await make_call(
            plan.bot,
            session_id,
            arguments,
            self._resources,
            plan.listener,
            past,
            spent=plan.spent,
            recording=next_recording(self._data_dir, session_id) if rules.recording else None,
            ends_with_client=ends_with_client,
        )
        if session_id in self._lines:
            raise SessionTaken("another client of this session was faster: connect again")
        conversation = Conversation(plan.bot, call)
        budget = plan.bot.budget_in(self._resources.settings)
        limits = rules.limits.model_copy(update={"budget": budget})
        line = Line(
            session_id,
            connection or InRoom(conversation),
            limits,
            rules.announcements,
            is_in_room=connection is None,
            age_secs=(datetime.now(UTC) - plan.created_at).total_seconds(),
        )

        def on_end(reason: EndReason) -> None:
            if self._lines.get(session_id) is line:
                del self._lines[session_id]
                self._on_end(session_id, reason)

        self._lines[session_id] = line
        line.start(conversation, on_end)
        return line


async def _start_of_stream(socket: SocketConnection, provider: str) -> Start:
    """Wait for the beginning of a media stream; what comes before is passed over.

    Raises:
        ConnectionFailed: If it does not come.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_WORD_SECS):
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                if start := read_start(cast(PhoneProvider, provider), message.get("text") or ""):
                    return start
    raise ConnectionFailed(f"nothing was said that a call of {provider} begins with")


def _pc_id(line: Line) -> str | None:
    """Return the name of a line's peer connection; None if it comes over a WebSocket."""
    connection = line.connection
    return connection.pc_id if isinstance(connection, SmallWebRTCConnection) else None
