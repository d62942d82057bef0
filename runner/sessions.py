"""Sessions: who may start one, which bot it has, and what it is doing."""

import asyncio
import re
import secrets
import signal
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain, repeat
from typing import Any

from loguru import logger
from pipecat.runner.types import DialinSettings, RunnerArguments
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.config import PHONE_PROVIDERS, BotChanges, LimitConfig, ServiceWishes
from bots.errors import DatabaseUnavailable, ParlanteError
from bots.registry import Bot
from bots.resources import Resources
from bots.settings import Settings
from processors.latency import TurnLatency
from processors.transcript import Past
from processors.voice_state import State
from runner.auth import LOCAL
from runner.errors import (
    InvalidRequest,
    Overloaded,
    RoomUnavailable,
    ServiceDraining,
    SessionLimitExceeded,
    SessionNotFound,
    SessionsDisabled,
)
from runner.host import CallPlan, session_ice_servers
from runner.journal import Journal
from runner.launchers.launcher import make_launcher
from runner.launchers.template import Template
from runner.limits import Admission, lines
from runner.lines import EndReason
from runner.rooms.ice import IceServer
from runner.rooms.room import RoomPlan
from runner.rooms.rooms import Rooms
from runner.session import (
    BOT_IS_THERE,
    TOKEN_LIFETIME,
    Presence,
    Session,
    SessionReporter,
    check_token,
    hash_of,
    new_token,
    not_found,
    session_id_of,
)
from runner.sockets import SocketConnection
from runner.store import Store
from runner.tables import NoticeRow, SessionRow, UsageRow
from runner.telemetry import Telemetry
from runner.transcripts import past
from runner.usage import Bill, session_usage
from runner.webhooks import Outbox
from runner.wishes import Wish, changed_bot, check_reach

NOT_IN_ROOM_NAMES = re.compile(r"[^a-zA-Z0-9-]+")
USER_IN_ROOM_NAMES = 40
"""Characters; Daily takes names of 128."""

FLUSH_SECS = 5.0
"""How long the end of a session, and of the service, waits for a database that is away."""

MAY_COME_BACK = {EndReason.CLIENT_LEFT, EndReason.PEER_LOST, EndReason.CRASHED}
"""Ends of calls whose session waits: the page may have been reloaded, the network have changed."""

MAY_COME_BACK_ELSEWHERE = {EndReason.PEER_LOST}
"""The same, of calls in a room at another service: the bot goes with its client only if that hangs
up its phone, and without one only if this service stops. The next one sends another bot."""

ENTRY_PAUSES_SECS = (1.0, 5.0, 15.0)
"""Between the tries to send another bot there; the last one again and again."""

MOST_CRASHES = 3
"""For a session in a room elsewhere: so often another bot is sent there."""


class SessionManager:
    """Starts sessions within the limits, takes them up again, and forgets them when they end.

    Args:
        resources: What calls share.
        store: Where sessions are kept.
        template: What a process for each call is forked of; None to hold all in this process.

    Raises:
        ServiceUnavailable: If a package for rooms at another service is missing.

    Attributes:
        telemetry: What is counted and timed of them.
        outbox: Tells other servers of them.
    """

    def __init__(
        self, resources: Resources, store: Store, template: Template | None = None
    ) -> None:
        self._store = store
        limits = resources.settings.voice.realtime.limits
        self._admission = Admission(limits, lines(resources.settings))
        self._sessions: dict[str, Session] = {}
        self._starting = 0
        self._is_asked_to_drain = False
        worker = resources.settings.voice.realtime.worker
        self.telemetry = Telemetry(lambda: self.count, agent_name=worker.agent_name)
        self.outbox = Outbox(resources.settings.server.webhooks, store, self.telemetry)
        self._launcher = make_launcher(
            resources, template, on_end=self._call_ended, on_lag=self.lagged
        )
        self._rooms = Rooms(resources.settings.voice.realtime)
        self._go_by(resources.settings)
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def reconfigure(self, resources: Resources) -> None:
        """Start sessions with other resources from now on; those that there are keep their bot."""
        self._go_by(resources.settings)
        self._launcher.reconfigure(resources)

    @property
    def limits(self) -> LimitConfig:
        """Of the sessions that are started now."""
        return self._admission.limits

    @property
    def is_draining(self) -> bool:
        """Whether no more sessions are started, because the service stops."""
        return self._admission.is_draining

    @property
    def transports(self) -> tuple[str, ...]:
        """How clients may come."""
        return self._rooms.transports

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Transports whose sessions are held in rooms at other services."""
        return self._rooms.elsewhere

    @property
    def here(self) -> list[str]:
        """The sessions now, those included whose client has left and may come back."""
        return list(self._sessions)

    @property
    def count(self) -> int:
        """Sessions that hold a line: they start, or their client is there or has yet to come."""
        return self._starting + sum(not session.is_empty for session in self._sessions.values())

    @property
    def calls(self) -> int:
        """Sessions whose client is connected now."""
        return sum(self._launcher.clients(session_id) > 0 for session_id in self._sessions)

    @property
    def lines(self) -> int:
        """How many sessions there may be at once."""
        return self._admission.lines

    @property
    def is_full(self) -> bool:
        """Whether all lines are busy."""
        return self._admission.is_full(self.count)

    async def has_transport(self) -> bool:
        """Say whether sessions can be held in the way of those who name none."""
        return await self._rooms.can_be_used(self._settings.voice.realtime.transport)

    def check_ready(self) -> None:
        """See whether sessions are taken, if there is a line.

        Raises:
            SessionsDisabled: If the settings let nobody start one.
            ServiceDraining: If the service is about to stop.
            Overloaded: If calls are slow, or the machine is busy.
        """
        self._check_enabled()
        self._admission.check_not_draining()
        if not self._launcher.can_begin:
            raise Overloaded("processes for calls die before they are ready: the log says why")
        self._admission.check_load(self.count)
        self._admission.check_machine(self.count)

    def loaded(self, share: float) -> None:
        """Take which share of the machine's cores was busy."""
        self._admission.loaded(share)

    def lagged(self, secs: float) -> None:
        """Take how late the event loop was."""
        self._admission.lagged(secs)
        self.telemetry.lagged(secs)

    def answered(self, latency: TurnLatency) -> None:
        """Take how long a user waited for an answer."""
        self._admission.answered(latency.total_ms / 1000)
        self.telemetry.answered(latency)

    async def create(self, wish: Wish) -> Session:
        """Start a session that waits for its client, and is in the store.

        Raises:
            SessionsDisabled: If the settings let nobody start one.
            ServiceDraining: If the service is about to stop.
            TransportUnavailable: If clients cannot come that way.
            UnknownBot: If there is no such bot.
            InvalidRequest: If the bot cannot be changed in such a way.
            SessionLimitExceeded: If all lines are busy, or the user has as many as they may.
            StartRateExceeded: If the user starts sessions too fast.
            Overloaded: If calls are slow.
            RoomUnavailable: If there is no room to be had for it.
            DatabaseUnavailable: If the session cannot be stored.
        """
        self._check_enabled()
        transport = wish.transport or self._settings.voice.realtime.transport
        maker = self._rooms.maker(transport)
        self._admission.check(self.count)
        # Its line is taken from now on, also while the store, or who makes its room, is slow.
        self._starting += 1
        try:
            wanted = await self._store.config_of(wish.user)
        finally:
            self._starting -= 1
        changes = BotChanges(**{**wanted, **wish.changes.model_dump(exclude_none=True)})
        bot_name = wish.bot_name or self._settings.default_bot
        try:
            bot = changed_bot(self._settings, bot_name, changes)
        except InvalidRequest as error:
            if not wanted:
                raise
            # They were for the bot, and the services, of another day.
            logger.warning(
                "what {} wants of every session is left out: {}", wish.user, error.message
            )
            changes = wish.changes
            bot = changed_bot(self._settings, bot_name, changes)
        check_reach(bot, wish.changes)
        if wish.user != LOCAL.user and not wish.by_phone:
            self._admission.check_user(wish.user, self._lines_of(wish.user))
        session_id, now = str(uuid.uuid4()), datetime.now(UTC)
        token = new_token(session_id)
        row = SessionRow(
            id=session_id,
            user_id=wish.user,
            room_name=self._new_room(wish.user),
            transport=transport,
            bot=bot_name,
            changes=changes.model_dump(exclude_none=True),
            token_hash=hash_of(token),
            created_at=now,
            seen_at=now,
        )
        session = self._session_of(row, token, bot, Bill(session_id))
        session.is_here = wish.is_here
        self._sessions[session.id] = session
        try:
            if maker:
                session.room = await maker.make(self._room_plan(session, wish.phone))
            await self._store.add(row)
        except BaseException:
            self._sessions.pop(session.id, None)
            await session.journal.close()
            if session.room:
                await self._close_room(session)
            raise
        await session.journal.event("started")
        logger.info("session {} started with {}", session.id, bot_name)
        if session.room:
            try:
                await self._attend(session, session.room.bot, is_phone=wish.phone is not None)
            except BaseException:
                self._end(session.id, EndReason.ERROR)
                raise
        else:
            self._expect(session, self.limits.join_timeout, EndReason.NEVER_JOINED)
        return session

    def check_wishes(self, wishes: ServiceWishes) -> None:
        """See whether the default bot can be as somebody wants it.

        Raises:
            InvalidRequest: If it cannot.
        """
        changes = BotChanges(**wishes.model_dump(exclude_none=True))
        changed_bot(self._settings, self._settings.default_bot, changes)

    async def admit(self, token: str) -> Session:
        """Return the session that a token lets into.

        One of a service that was killed is taken up again from the store.

        Raises:
            SessionNotFound: If it has ended or never was, or this is not, or no more, its token.
            UnknownBot: If its bot is not there any more.
            DatabaseUnavailable: If it has to be looked up in the store, and cannot.
        """
        session = self._sessions.get(session_id_of(token))
        if session:
            check_token(token, hash_of(session.token), session.created_at)
            return session
        if self.is_ending(session_id_of(token)):
            raise not_found()
        row = await self._store.session(session_id_of(token))
        if not row or row.ended_at:
            raise not_found()
        check_token(token, row.token_hash, row.created_at)
        return await self._take_up(row, token)

    def presence(self, session_id: str) -> Presence:
        """Return who is in a session now; nobody, if it has ended or has no service."""
        session = self._sessions.get(session_id)
        if not session:
            return Presence(0, False, State.DISCONNECTED)
        has_bot = session.state in BOT_IS_THERE
        clients = self._launcher.clients(session_id)
        return Presence(clients, has_bot, session.state, session.last_wait_ms)

    def ice_servers(self, session: Session) -> list[IceServer]:
        """Return the STUN and TURN servers for a session's client."""
        return session_ice_servers(self._settings.voice.realtime, session.id)

    def journal(self, session_id: str) -> Journal | None:
        """Return what writes down what happens in a session; None if it has no service here."""
        session = self._sessions.get(session_id)
        return session.journal if session else None

    def is_ending(self, session_id: str) -> bool:
        """Say whether a session has just ended, and the store may not know it yet."""
        return session_id in self._closing

    async def until_written(self, session_id: str) -> None:
        """Wait until the store knows of the end of a session that has just ended, if it can."""
        if closing := self._closing.get(session_id):
            await asyncio.wait({closing}, timeout=FLUSH_SECS)

    async def end(self, session_id: str, reason: EndReason) -> None:
        """End a session, and wait until it has ended and that is written; do nothing if it has.

        Raises:
            DatabaseUnavailable: If it is one whose service has died, and the store is away.
        """
        await self._launcher.stop(session_id, reason)
        self._end(session_id, reason)
        if self.is_ending(session_id):
            await self.until_written(session_id)
        elif row := await self._store.end(session_id, datetime.now(UTC), reason.value):
            await self.bury(row)

    def session_of(self, pc_id: str | None) -> Session | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        return self._sessions.get(self._launcher.session_of(pc_id) or "")

    async def offer(self, session: Session, request: SmallWebRTCRequest) -> dict[str, str]:
        """Connect the client of a session; see `Launcher.offer`.

        Raises:
            SessionNotFound: If the offer is for a connection of another session, the session ends
                meanwhile, or its client is to come in another way.
            SessionLimitExceeded: If its client comes back when all lines are busy.
            ServiceDraining: If it comes when the service is about to stop.
            ConnectionFailed: If the offer cannot be answered.
        """
        _check_way(session, "webrtc")
        async with self._connecting(session):
            return await self._launcher.offer(self._plan(session), request)

    async def join(self, session: Session, socket: SocketConnection, transport: str) -> None:
        """Hold the call of a client that has opened a WebSocket, until the call has ended.

        Args:
            session: Which one.
            socket: The connection, accepted.
            transport: How it comes, as sessions are started for it.

        Raises:
            SessionTaken: If another client of the session was faster.
            ParlanteError: As `offer` does, or if the bot cannot be made.
        """
        _check_way(session, transport)
        async with self._connecting(session):
            call = await self._launcher.join(self._plan(session), socket, transport)
        await call.until_ended()

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Take late ICE candidates; see `Launcher.add_candidates`."""
        await self._launcher.add_candidates(request)

    def ask_to_drain(self) -> None:
        """Have the service stop as SIGTERM does; to ask again changes nothing."""
        if not self._is_asked_to_drain and not self.is_draining:
            self._is_asked_to_drain = True
            signal.raise_signal(signal.SIGTERM)

    async def drain(self) -> None:
        """Start no more sessions, and wait for the end of the calls; see `Launcher.drain`.

        Sessions whose client is not there do not end: the next service takes them up.
        """
        self._admission.is_draining = True
        calls = [session_id for session_id in self._sessions if self._launcher.has_call(session_id)]
        logger.info("the service stops: {} calls go on", len(calls))
        await self._launcher.drain(self._settings.server.drain_timeout)

    def hush(self) -> None:
        """Tell those who follow sessions nothing any more, because the service stops."""
        for session in self._sessions.values():
            session.journal.audience.end()

    async def take_up_lost(self, row: SessionRow) -> None:
        """Have a bot again in a room elsewhere whose service has died; its client never left.

        It is sent beside this.

        Raises:
            UnknownBot: If its bot is not there any more.
            DatabaseUnavailable: If the session cannot be looked up.
        """
        # Nobody has to be let in: its client is, and the bot is let in by who made the room.
        self._send_another(await self._take_up(row, new_token(row.id)), EndReason.CLIENT_LEFT)

    async def bury(self, row: SessionRow) -> None:
        """See to the rest of a session that has ended in the store, and had no service."""
        assert row.ended_at
        usage = self._shown(await self._store.usage(row.id))
        data = {"reason": row.end_reason, "usage": usage}
        await self._store.save(self._announce(row, "ended", row.ended_at, data))
        await self._rooms.close(row.transport, row.room_name)

    async def close(self) -> None:
        """End all calls and their sessions, and wait until everything of them is written."""
        await self._launcher.close()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        for session in self._sessions.values():
            session.stop_waiting()
            self._closing[session.id] = asyncio.create_task(session.journal.finish())
        self._sessions.clear()
        closing = list(self._closing.values())
        if closing:
            await asyncio.wait(closing, timeout=FLUSH_SECS)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        await self._rooms.aclose()

    def _go_by(self, settings: Settings) -> None:
        self._settings = settings
        self._admission.limits = settings.voice.realtime.limits
        self._admission.lines = lines(settings)
        self._admission.load_threshold = settings.voice.realtime.worker.load_threshold

    def _lines_of(self, user: str) -> int:
        """Count the lines that a user has."""
        theirs = [session for session in self._sessions.values() if session.user == user]
        return sum(not session.is_empty for session in theirs)

    def _new_room(self, user: str) -> str:
        """Return a name that no other room has now."""
        taken = {session.room_name for session in self._sessions.values()}
        while True:
            whose = NOT_IN_ROOM_NAMES.sub("-", user)[:USER_IN_ROOM_NAMES]
            name = f"voice-{whose}-{secrets.token_hex(4)}"
            if name not in taken:
                return name

    def _check_enabled(self) -> None:
        if not self._settings.voice.realtime.enabled:
            raise SessionsDisabled("no sessions are started here (voice.realtime.enabled)")

    async def _take_up(self, row: SessionRow, token: str) -> Session:
        """Have a session again whose service has died."""
        bot = changed_bot(self._settings, row.bot, BotChanges(**row.changes))
        last_sequence = await self._store.last_sequence(row.id)
        bill = Bill(row.id, await self._store.usage(row.id))
        if session := self._sessions.get(row.id):
            # Another request was faster.
            return session
        session = self._session_of(row, token, bot, bill, last_sequence)
        self._sessions[row.id] = session
        self._leave_empty(session, EndReason.CLIENT_LEFT)
        logger.info("session {} is taken up again with {}", row.id, row.bot)
        return session

    def _session_of(
        self, row: SessionRow, token: str, bot: Bot, bill: Bill, last_sequence: int = 0
    ) -> Session:
        """Make what this service has of a session, of what the store has."""
        return Session(
            row.id,
            row.user_id,
            token,
            row.transport,
            row.room_name,
            row.bot,
            bot,
            row.created_at,
            Journal(row.id, self._store, partial(self._announce, row), last_sequence),
            bill,
            has_begun=row.joined_at is not None,
        )

    def _announce(
        self, row: SessionRow, event: str, at: datetime, data: Mapping[str, Any]
    ) -> list[NoticeRow]:
        """Count an event of a session, log it, and write what other servers are told of it."""
        self.telemetry.happened(event)
        if event in ("joined", "left"):
            logger.info("session {}: its client has {}", row.id, event)
        return self.outbox.notices(row, event, at, data)

    def _plan(self, session: Session) -> CallPlan:
        async def recall() -> Past:
            if not session.has_begun:
                return ()
            await session.journal.written()
            row = await self._store.session(session.id)
            return past(await self._store.history(row)) if row else ()

        telemetry = self.telemetry
        reporter = SessionReporter(
            session,
            self.answered,
            telemetry.failed,
            telemetry.used,
            telemetry.dropped,
        )
        spent = session.bill.cost
        return CallPlan(
            session.id,
            session.bot_name,
            session.bot,
            reporter,
            recall,
            session.created_at,
            spent,
        )

    def _room_plan(self, session: Session, phone: DialinSettings | None = None) -> RoomPlan:
        return RoomPlan(
            session.room_name,
            session.id,
            session.user,
            self.limits,
            TOKEN_LIFETIME.total_seconds(),
            phone,
        )

    async def _attend(
        self, session: Session, bot: RunnerArguments, *, is_phone: bool = False
    ) -> None:
        """Have the bot wait in its room for the client.

        Raises:
            ParlanteError: If it does not get there.
        """
        async with self._connecting(session, is_client=False):
            await self._launcher.attend(self._plan(session), bot, ends_with_client=is_phone)

    def _send_another(self, session: Session, reason: EndReason) -> None:
        """Send a bot into the room of a session, in the place of one that has died.

        Args:
            session: It ends when no bot is let in for `limits.empty_timeout`.
            reason: Why it has ended then.
        """
        self._expect(session, self.limits.empty_timeout, reason)
        sending = asyncio.create_task(self._enter(session))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _enter(self, session: Session) -> None:
        """Have a bot again in the room of a session, as soon as it is let in; else end it."""
        maker = self._rooms.maker(session.transport)
        assert maker
        for pause_secs in chain(ENTRY_PAUSES_SECS, repeat(ENTRY_PAUSES_SECS[-1])):
            if session.id not in self._sessions or self.is_draining:
                # The next service sends a bot.
                return
            try:
                return await self._attend(session, await maker.enter(self._room_plan(session)))
            except (RoomUnavailable, DatabaseUnavailable, SessionLimitExceeded) as error:
                logger.warning("session {} has no bot yet: {}", session.id, error.message)
            except ServiceDraining:
                return
            except ParlanteError as error:
                logger.error("session {} cannot go on: {}", session.id, error.message)
                return self._end(session.id, EndReason.ERROR)
            except Exception:  # noqa: BLE001 - a bot is anybody's code
                logger.exception("session {} cannot go on", session.id)
                return self._end(session.id, EndReason.CRASHED)
            await asyncio.sleep(pause_secs)

    async def _leave_room(self, session: Session, reason: EndReason) -> None:
        # By it, Daily may hold the call that a person has taken; it ends by itself.
        if reason is not EndReason.TRANSFERRED:
            await self._close_room(session)

    async def _close_room(self, session: Session) -> None:
        await self._rooms.close(session.transport, session.room_name)

    @asynccontextmanager
    async def _connecting(self, session: Session, *, is_client: bool = True) -> AsyncIterator[None]:
        """Have a line for who comes into a session; it may end while they get there.

        Args:
            session: Into which.
            is_client: Whether its client comes, who is waited for where that fails; else its bot.

        Raises:
            SessionNotFound: If it does.
            SessionLimitExceeded: If they come when all lines are busy, or all of the user's.
            ServiceDraining: If they come when the service is about to stop.
        """
        was_empty = session.is_empty
        if not self._launcher.has_call(session.id):
            self._admission.check_not_draining()
        if was_empty:
            self._admission.check_line(self.count)
            if is_client and session.user != LOCAL.user:
                self._admission.check_share(self._lines_of(session.user))
            session.is_empty = False
        try:
            yield
        finally:
            if self._launcher.has_call(session.id):
                session.is_empty = False
                session.stop_waiting()
            elif not is_client:
                session.is_empty = was_empty
            elif session.id in self._sessions and (was_empty or session.has_begun):
                self._leave_empty(session, EndReason.CLIENT_LEFT)
            elif session.is_here:
                # Nobody knows how to come into it.
                self._end(session.id, EndReason.ERROR)
            elif session.id in self._sessions and not session.expiry:
                # The call before, which nobody has joined, has made way for this one.
                self._expect(session, self.limits.join_timeout, EndReason.NEVER_JOINED)
        if session.id not in self._sessions:
            await self._launcher.stop(session.id)
            raise not_found()

    def _call_ended(self, session_id: str, reason: EndReason) -> None:
        """End a session with its call, let it wait for its client, or go on with another bot."""
        session = self._sessions.get(session_id)
        if not session:
            return
        session.journal.forget_tools()
        is_elsewhere = session.transport in self.elsewhere
        if reason is EndReason.CRASHED:
            self.telemetry.crashed()
            session.crashes += 1
        if reason is EndReason.NEVER_JOINED and session.has_begun:
            # It has come back and found no way in, such as from a lift: it may try again.
            reason = EndReason.CLIENT_LEFT
        if is_elsewhere and reason is EndReason.CRASHED and session.crashes <= MOST_CRASHES:
            self._send_another(session, reason)
        elif session.transport in PHONE_PROVIDERS:
            self._end(session_id, reason)
        elif reason in (MAY_COME_BACK_ELSEWHERE if is_elsewhere else MAY_COME_BACK):
            self._leave_empty(session, reason)
        else:
            self._end(session_id, reason)

    def _leave_empty(self, session: Session, reason: EndReason) -> None:
        """Free the line of a session whose client has left, and end it if nobody comes back."""
        session.is_empty = True
        self._expect(session, self.limits.empty_timeout, reason)

    def _expect(self, session: Session, timeout_secs: float, reason: EndReason) -> None:
        """End a session for that reason, unless its client comes in time."""
        session.stop_waiting()
        session.expiry = asyncio.get_running_loop().call_later(
            timeout_secs, self._end, session.id, reason
        )

    def _end(self, session_id: str, reason: EndReason) -> None:
        """Forget a session, and free its line at once; its records are written beside."""
        session = self._sessions.pop(session_id, None)
        if not session:
            return
        self.telemetry.ended(reason)
        session.stop_waiting()
        logger.info("session {} ended: {}", session_id, reason.value)
        closing = asyncio.create_task(self._close(session, reason))
        self._closing[session_id] = closing
        closing.add_done_callback(lambda _: self._closing.pop(session_id))

    async def _close(self, session: Session, reason: EndReason) -> None:
        usage = self._shown(session.bill.rows)
        await asyncio.gather(
            session.journal.ended(reason, usage), self._leave_room(session, reason)
        )

    def _shown(self, rows: list[UsageRow]) -> dict[str, Any]:
        return session_usage(rows, self._settings.voice.prices.currency).model_dump()


def _check_way(session: Session, transport: str) -> None:
    """See whether the client of a session comes as it was started for.

    Raises:
        SessionNotFound: If it does not: its token is good for nothing else.
    """
    if session.transport != transport:
        raise SessionNotFound(f"this session is held over {session.transport}: start a new one")
