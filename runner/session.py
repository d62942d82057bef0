"""One session: a conversation that somebody started, and what lets its client in."""

import asyncio
import dataclasses
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bots.listener import CallListener
from bots.registry import Bot
from processors.failover import Failure
from processors.latency import TurnLatency
from processors.transcript import ToolCall, Turn
from processors.usage import Used
from processors.voice_state import State
from runner.errors import SessionNotFound
from runner.happenings import Happening
from runner.journal import Journal
from runner.rooms.room import Room
from runner.usage import Bill

BOT_IS_THERE = {State.LISTENING, State.PROCESSING, State.THINKING, State.SPEAKING}

SECRET_BYTES = 16
TOKEN_SEPARATOR = "."
TOKEN_LIFETIME = timedelta(hours=2)
"""How long a token lets in; a call that is under way goes on."""


@dataclass(frozen=True)
class Presence:
    """Who is there in a session, and what the bot does.

    Attributes:
        clients: How many are there beside the bot.
        has_bot: Whether the bot is.
        state: What it does.
        last_wait_ms: How long the user waited for its last answer; None before the first.
    """

    clients: int
    has_bot: bool
    state: State
    last_wait_ms: float | None = None


@dataclass
class Session:
    """A conversation that somebody started.

    Attributes:
        id: Names it everywhere, and opens nothing.
        user: Whose it is.
        token: What a client has to show to be let in: the session's name and a secret.
        transport: How its client comes.
        room_name: Names the place where it is held.
        bot_name: Who answers.
        bot: The same, loaded, as this session wants it.
        created_at: When it was started, UTC.
        journal: Writes down what happens in it.
        bill: What it has consumed.
        room: The room at another service that it is held in; None if its client comes here.
        is_here: Whether its client came with the wish for it, and knows no token.
        has_begun: Whether its client was ever there.
        is_empty: Whether its client was there and has left: it holds no line until it comes back.
        crashes: How often the process of its bot has died.
        state: What its bot is doing.
        last_wait_ms: How long its user waited for the last answer; None before the first.
        expiry: Ends it if nobody comes; None while it has a call.
    """

    id: str
    user: str
    token: str
    transport: str
    room_name: str
    bot_name: str
    bot: Bot
    created_at: datetime
    journal: Journal
    bill: Bill
    room: Room | None = None
    is_here: bool = False
    has_begun: bool = False
    is_empty: bool = False
    crashes: int = 0
    state: State = State.DISCONNECTED
    last_wait_ms: float | None = None
    expiry: asyncio.TimerHandle | None = None

    def stop_waiting(self) -> None:
        """Let the session be, because it has its client or has ended."""
        if self.expiry:
            self.expiry.cancel()
            self.expiry = None


def new_token(session_id: str) -> str:
    """Make what lets a client into a session, and nowhere else."""
    return f"{session_id}{TOKEN_SEPARATOR}{secrets.token_urlsafe(SECRET_BYTES)}"


def session_id_of(token_or_id: str) -> str:
    """Return the session that a token, or just its name, is of."""
    return token_or_id.partition(TOKEN_SEPARATOR)[0]


def hash_of(token: str) -> str:
    """Return what is kept of a token: it cannot be guessed, so that a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_token(token: str, token_hash: str, created_at: datetime) -> None:
    """See whether a token lets into a session.

    Args:
        token: What a client shows.
        token_hash: Of the token that the session has.
        created_at: When the session was started.

    Raises:
        SessionNotFound: If it is another's, or too old.
    """
    if not secrets.compare_digest(hash_of(token), token_hash):
        raise not_found()
    if datetime.now(UTC) - created_at > TOKEN_LIFETIME:
        raise SessionNotFound("the token of this session has expired: start a new one")


def not_found() -> SessionNotFound:
    """Make the error for a session that there is not, or not for whoever asks."""
    return SessionNotFound("there is no such session, or it has ended: start a new one")


class SessionReporter(CallListener):
    """Hands on what happens in one call of a session.

    Args:
        session: Which one.
        answered: Told how long its user waited for an answer.
        failed: Told of services that have failed.
        used: Told of what services have consumed.
        dropped: Told of sound of its client that was dropped, in seconds.
    """

    def __init__(
        self,
        session: Session,
        answered: Callable[[TurnLatency], None],
        failed: Callable[[Failure], None],
        used: Callable[[Used], None],
        dropped: Callable[[float], None],
    ) -> None:
        self._session = session
        self._answered = answered
        self._failed = failed
        self._used = used
        self._dropped = dropped

    async def on_state(self, state: State) -> None:
        """Note what the bot does."""
        session = self._session
        session.state = state
        session.journal.audience.tell(Happening("state", datetime.now(UTC), {"state": state.value}))

    async def on_client(self, is_there: bool) -> None:
        """Write down when the client has come and when it has left."""
        session = self._session
        if not is_there:
            await session.journal.event("left")
            return
        await session.journal.joined(is_first=not session.has_begun)
        session.has_begun = True

    async def on_answer(self, latency: TurnLatency) -> None:
        """Count an answer, and write down what it took."""
        self._answered(latency)
        self._session.last_wait_ms = latency.total_ms
        await self._session.journal.event("answer", dataclasses.asdict(latency))

    async def on_failure(self, failure: Failure) -> None:
        """Count a service that has failed."""
        self._failed(failure)

    async def on_audio_dropped(self, secs: float) -> None:
        """Count sound of the client that was dropped."""
        self._dropped(secs)

    async def on_usage(self, used: Used) -> None:
        """Count what a service has consumed, and write it down."""
        self._used(used)
        await self._session.journal.usage(self._session.bill.add(used))

    async def on_turn(self, turn: Turn) -> None:
        """Write down what was said."""
        await self._session.journal.turn(turn)

    async def on_tool_call(self, call: ToolCall) -> None:
        """Write down what a tool did."""
        await self._session.journal.tool_call(call)

    async def keep_tool_call(self, call: ToolCall) -> None:
        """Write down what a tool did or is going to do, and wait until that is written."""
        await self._session.journal.tool_call(call)
        await self._session.journal.written()
