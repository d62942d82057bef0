"""When a call ends, why, and that its connection is closed then."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import CancelFrame, EndFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bots.config import AnnouncementConfig, LimitConfig
from bots.errors import ParlanteError
from processors.hang_up import HangUpObserver
from runner import lines
from runner.lines import EndReason, Health, Line, end_reason, is_nearly_up
from runner.sockets import SocketConnection

LIMITS = LimitConfig(session_duration=100, join_timeout=20, lost_peer_timeout=5, empty_timeout=30)
WORDS = AnnouncementConfig()
END_SECS = 5


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        (Health(now=10, started_at=0, connected_at=None, lost_at=None), None),
        (Health(now=21, started_at=0, connected_at=None, lost_at=None), EndReason.NEVER_JOINED),
        (Health(now=50, started_at=0, connected_at=1, lost_at=None), None),
        (Health(now=50, started_at=0, connected_at=1, lost_at=46), None),
        (Health(now=52, started_at=0, connected_at=1, lost_at=46), EndReason.PEER_LOST),
        (Health(now=52, started_at=0, connected_at=1, lost_at=46, is_in_room=True), None),
        (
            Health(now=77, started_at=0, connected_at=1, lost_at=46, is_in_room=True),
            EndReason.EMPTY_ROOM,
        ),
        (Health(now=101, started_at=0, connected_at=1, lost_at=None), EndReason.MAX_DURATION),
        (
            Health(now=50, started_at=0, connected_at=1, lost_at=None, age_secs=51),
            EndReason.MAX_DURATION,
        ),
    ],
)
def test_a_call_ends_for_the_right_reason(health: Health, reason: EndReason | None) -> None:
    assert end_reason(health, LIMITS) is reason


@pytest.mark.parametrize(
    ("now", "warning", "nearly_up"),
    [(89, 10, False), (91, 10, True), (99, 0, False), (99, 100, False)],
    ids=["not yet", "nearly", "no warning", "a warning as long as the call"],
)
def test_a_user_is_warned_some_time_before_the_longest_duration(
    now: float, warning: float, nearly_up: bool
) -> None:
    limits = LimitConfig(session_duration=100, duration_warning=warning)
    health = Health(now, started_at=0, connected_at=1, lost_at=None)
    assert is_nearly_up(health, limits) is nearly_up


class Wire:
    """A connection of no kind in particular."""

    def __init__(self) -> None:
        self.is_up = True
        self.is_closed = False

    def is_connected(self) -> bool:
        return self.is_up

    async def disconnect(self) -> None:
        self.is_closed = True


class LostSocket(Wire, SocketConnection):
    """A WebSocket whose peer is gone without a word."""

    is_lost = True


class Talk:
    """A conversation that lasts until it is ended, or fails."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.over = asyncio.Event()
        self.said: list[str] = []
        self.is_deserted = False
        self.has_lost_client = False
        self.is_put_through = False
        self.is_ending = False
        self.cost = 0.0
        self.is_answering = False
        self._error = error
        self._hangs = hangs

    async def break_off(self) -> None: ...

    async def hold(self) -> None:
        if self._error:
            raise self._error
        await self.over.wait()

    async def say(self, words: str) -> None:
        self.said.append(words)

    async def finish(self, words: str) -> None:
        self.said.append(words)
        if not self._hangs:
            self.over.set()


class Supervised:
    """A call under supervision."""

    def __init__(
        self,
        talk: Talk,
        wire: Wire | None = None,
        *,
        age_secs: float = 0.0,
        **limits: float,
    ) -> None:
        self.wire = Wire() if wire is None else wire
        self.ends: list[EndReason] = []
        config = LimitConfig(**limits)  # type: ignore[arg-type]
        self.line = Line("1", self.wire, config, WORDS, age_secs=age_secs)
        held: Any = talk
        self.line.start(held, self.ends.append)

    async def end(self) -> EndReason:
        async with asyncio.timeout(END_SECS):
            await self.line.until_ended()
        assert self.wire.is_closed
        [reason] = self.ends
        return reason


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WATCH_INTERVAL_SECS", 0.01)


@pytest.mark.parametrize(
    ("is_lost", "reason"), [(True, EndReason.CLIENT_LEFT), (False, EndReason.HUNG_UP)]
)
async def test_a_client_that_is_gone_may_have_hung_up_or_not(
    is_lost: bool, reason: EndReason
) -> None:
    talk = Talk()
    call = Supervised(talk)
    talk.has_lost_client = is_lost
    talk.over.set()
    assert await call.end() is reason


async def test_a_client_whose_socket_is_lost_has_not_left() -> None:
    talk = Talk()
    call = Supervised(talk, LostSocket())
    talk.has_lost_client = True
    talk.over.set()
    assert await call.end() is EndReason.PEER_LOST


async def test_a_client_that_is_gone_may_have_been_put_through_to_a_person() -> None:
    talk = Talk()
    call = Supervised(talk)
    talk.has_lost_client = talk.is_put_through = True
    talk.over.set()
    assert await call.end() is EndReason.TRANSFERRED


async def test_a_connection_that_carries_nothing_for_too_long_ends_its_call() -> None:
    call = Supervised(Talk(), lost_peer_timeout=0.05)
    await asyncio.sleep(0.1)
    assert not call.ends
    call.wire.is_up = False
    assert await call.end() is EndReason.PEER_LOST


async def test_a_call_that_lasts_too_long_is_ended_after_a_warning_and_a_last_word() -> None:
    talk = Talk()
    call = Supervised(talk, session_duration=0.3, duration_warning=0.2)
    assert await call.end() is EndReason.MAX_DURATION
    assert talk.said == [WORDS.nearly_up, WORDS.time_is_up]


async def test_a_session_lasts_no_longer_for_its_client_having_come_back() -> None:
    assert await Supervised(Talk(), age_secs=101, session_duration=100).end() is (
        EndReason.MAX_DURATION
    )


async def test_a_call_that_nobody_speaks_in_any_more_was_ended_by_the_bot() -> None:
    talk = Talk()
    call = Supervised(talk)
    talk.is_deserted = True
    talk.over.set()
    assert await call.end() is EndReason.USER_IDLE


async def test_a_caller_is_told_when_the_service_cannot_wait_any_longer() -> None:
    talk = Talk()
    call = Supervised(talk)
    await call.line.stop(EndReason.DRAINED)
    assert call.ends == [EndReason.DRAINED]
    assert talk.said == [WORDS.closing]


async def test_a_pipeline_that_does_not_come_to_its_end_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "FAREWELL_SECS", 0.05)
    call = Supervised(Talk(hangs=True), session_duration=0.05)
    assert await call.end() is EndReason.MAX_DURATION


class DeadEnd(FrameProcessor):
    """Lets no EndFrame through, which Pipecat then waits for without a bound."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, EndFrame):
            await self.push_frame(frame, direction)


class StuckTalk(Talk):
    """A real pipeline, which does not come to its end.

    Args:
        is_deaf: Whether it does not stop when it is cancelled either.
    """

    def __init__(self, *, is_deaf: bool = False) -> None:
        super().__init__()
        self._observer = HangUpObserver(self._hung_up)
        self._pipeline = Pipeline([DeadEnd()])
        self.worker = PipelineWorker(
            self._pipeline, observers=[self._observer], idle_timeout_secs=None
        )
        self._is_deaf = is_deaf
        self.let_go = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        return self._observer.is_ending

    @is_ending.setter
    def is_ending(self, _: bool) -> None: ...

    async def hold(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()
        while self._is_deaf and not self.let_go.is_set():
            with suppress(asyncio.CancelledError):
                await self.let_go.wait()

    async def break_off(self) -> None:
        await self._pipeline.queue_frame(CancelFrame())

    async def _hung_up(self) -> None: ...


async def test_a_bot_whose_pipeline_does_not_come_to_the_end_that_it_wanted_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "FAREWELL_SECS", 0.05)
    talk = StuckTalk()
    call = Supervised(talk)
    await talk.worker.stop_when_done()
    assert await call.end() is EndReason.STUCK


async def test_a_pipeline_that_cannot_even_be_cancelled_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "FAREWELL_SECS", 0.05)
    monkeypatch.setattr(lines, "STOP_GRACE_SECS", 0.05)
    talk = StuckTalk(is_deaf=True)
    call = Supervised(talk)
    await talk.worker.stop_when_done()
    told: list[str] = []
    sink = logger.add(told.append, level="CRITICAL", format="{message}")
    assert await call.end() is EndReason.STUCK
    logger.remove(sink)
    assert told == ["the pipeline does not stop: it is abandoned\n"]
    talk.let_go.set()


async def test_a_call_is_ended_at_once_when_it_is_stopped() -> None:
    talk = Talk()
    call = Supervised(talk)
    await call.line.stop()
    assert call.ends == [EndReason.STOPPED]
    assert not talk.said
    assert call.wire.is_closed


@pytest.mark.parametrize("error", [ParlanteError("no voice"), KeyError("x")])
async def test_a_bot_that_fails_ends_its_call(error: Exception) -> None:
    assert await Supervised(Talk(error)).end() is EndReason.ERROR


async def test_whoever_stops_waiting_for_the_end_does_not_end_the_call() -> None:
    talk = Talk()
    call = Supervised(talk)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await call.line.until_ended()
    assert not call.ends
    talk.over.set()
    await call.end()


async def test_a_session_that_has_spent_its_budget_ends_behind_what_the_bot_says() -> None:
    talk = Talk()
    talk.cost, talk.is_answering = 0.5, True
    call = Supervised(talk, budget=0.5)
    await asyncio.sleep(0.1)
    assert not call.ends, "the bot is answering"
    talk.is_answering = False
    assert await call.end() is EndReason.BUDGET_SPENT
    assert talk.said == [WORDS.budget_spent]
