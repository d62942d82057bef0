"""A bot in a room at another service, where its client comes and goes.

The room is one without a server: neither Daily nor LiveKit has one that could be run here. It has
the events of their transports, and plays what the bot says to nobody.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pipecat.frames.frames import EndFrame, Frame, OutputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from bots import call
from bots.call import Call, Conversation
from bots.config import AnnouncementConfig
from bots.errors import ServiceUnavailable
from bots.listener import CallListener
from bots.local_models import loading_models
from bots.registry import load_bot
from bots.resources import open_resources
from bots.settings import load_settings
from processors.output_pause import OutputPause
from processors.transcript import Turn
from processors.voice_state import State
from runner.host import InRoom

pytestmark = pytest.mark.long

SECS = 20
GREETING = "Welcome. This is a long greeting, which nobody hears to its end, because they leave."
BACK = AnnouncementConfig().back
LOST = "on_disconnected"


class Door(BaseInputTransport):
    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class Stage(BaseOutputTransport):
    is_stuck = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not (self.is_stuck and isinstance(frame, EndFrame)):
            await super().process_frame(frame, direction)

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        return True


class Room(BaseTransport):
    """A room without a server; whatever happens in it is told by the test."""

    def __init__(self, output: OutputPause) -> None:
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True, audio_out_enabled=True, audio_out_filter=output
        )
        self._door, self._stage = Door(params), Stage(params)
        for event in ("on_connected", "on_client_connected", "on_client_disconnected", LOST):
            self._register_event_handler(event)

    def input(self) -> Door:
        return self._door

    def output(self) -> Stage:
        return self._stage

    def get_client_id(self, client: dict[str, str]) -> str:
        return client["id"]

    async def tell(self, event: str, *arguments: object) -> None:
        await self._call_event_handler(event, *arguments)


class Witness(CallListener):
    """Notes what happens in a call, and can be waited for."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self._changed = asyncio.Condition()

    async def on_state(self, state: State) -> None:
        await self._note(state)

    async def on_client(self, is_there: bool) -> None:
        await self._note("came" if is_there else "left")

    async def on_turn(self, turn: Turn) -> None:
        await self._note(turn)

    async def until(self, wanted: object, times: int = 1) -> None:
        async with asyncio.timeout(SECS), self._changed:
            await self._changed.wait_for(lambda: self.seen.count(wanted) >= times)

    @property
    def generated(self) -> list[str]:
        return [turn.generated for turn in self.seen if isinstance(turn, Turn)]

    async def until_turns(self, count: int) -> list[Turn]:
        async with asyncio.timeout(SECS), self._changed:
            await self._changed.wait_for(lambda: len(self.generated) >= count)
        return [turn for turn in self.seen if isinstance(turn, Turn)]

    async def _note(self, what: object) -> None:
        async with self._changed:
            self.seen.append(what)
            self._changed.notify_all()


class Scene:
    """A bot that waits in a room."""

    def __init__(self, room: Room, witness: Witness, conversation: Conversation) -> None:
        self.room, self.witness, self.conversation = room, witness, conversation
        self.holding = asyncio.create_task(conversation.hold())

    async def enter(self) -> None:
        """Let the bot into the room, and then its client."""
        await self.room.tell("on_connected")
        await self.room.tell("on_client_connected", {"id": "ada"})


@pytest.fixture(autouse=True)
def language_model_that_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")


@asynccontextmanager
async def scene(folder: Path, *, ends_with_client: bool = False) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        bots = {"receptionist": {"greeting": GREETING}}
        limits = {"idle_timeout": 1.0}
        settings = load_settings(
            overrides={
                "profile": "voice",
                "profiles": {"voice": {"stt": ["local"], "llm": ["openai"], "tts": ["local"]}},
                "data_dir": folder,
                "bots": bots,
                "voice": {"realtime": {"limits": limits}},
            }
        )
        models = await stack.enter_async_context(loading_models(settings))
        resources = await stack.enter_async_context(open_resources(settings, models))
        output, witness = OutputPause(), Witness()
        room = Room(output)
        made = Call(
            "a-session",
            room,
            output,
            resources,
            witness,
            room_lost_event=LOST,
            ends_with_client=ends_with_client,
        )
        here = Scene(room, witness, Conversation(load_bot("receptionist", settings), made))
        try:
            yield here
        finally:
            here.holding.cancel()
            await asyncio.gather(here.holding, return_exceptions=True)
            await room.cleanup()


async def test_it_waits_for_its_client_and_greets_when_that_comes(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await here.witness.until(State.INITIALIZING)
        await here.room.tell("on_connected")
        await here.witness.until(State.LISTENING)
        assert not InRoom(here.conversation).is_connected()
        assert State.SPEAKING not in here.witness.seen
        await here.room.tell("on_client_connected", {"id": "ada"})
        await here.witness.until("came")
        assert InRoom(here.conversation).is_connected()
        await here.witness.until(State.SPEAKING)


async def test_it_falls_silent_when_its_client_leaves_and_says_so_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await here.enter()
        await here.witness.until(State.SPEAKING)
        await here.room.tell("on_client_disconnected", {"id": "ada"})
        await here.witness.until("left")
        [greeting] = await here.witness.until_turns(1)
        assert greeting.interrupted
        # For longer than a client that is there may be silent, twice.
        await asyncio.sleep(3)
        assert not here.holding.done()
        assert not here.conversation.clients
        await here.room.tell("on_client_connected", {"id": "ada"})
        await here.witness.until("came", times=2)
        [_, back] = await here.witness.until_turns(2)
        assert back.spoken == BACK


async def test_it_goes_on_while_one_of_two_is_there(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await here.enter()
        await here.witness.until(State.SPEAKING)
        await here.room.tell("on_client_connected", {"id": "grace"})
        async with asyncio.timeout(SECS):
            while InRoom(here.conversation).clients != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await here.room.tell("on_client_disconnected", {"id": "ada"})
        [greeting] = await here.witness.until_turns(1)
        assert not greeting.interrupted
        assert InRoom(here.conversation).clients == 1
        assert here.witness.seen.count("came") == 1
        assert "left" not in here.witness.seen


async def test_a_phone_call_is_over_when_its_caller_hangs_up(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, ends_with_client=True) as here:
        await here.enter()
        await here.witness.until(State.SPEAKING)
        await here.room.tell("on_client_disconnected", {"id": "ada"})
        await asyncio.wait_for(here.holding, SECS)
        assert here.conversation.has_lost_client
        assert "left" in here.witness.seen
        assert here.witness.seen[-1] is State.DISCONNECTED


async def test_what_fails_beside_the_pipeline_ends_the_call(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:

        async def fail(is_there: bool) -> None:
            if is_there:
                raise KeyError("nobody knows")

        here.witness.on_client = fail  # type: ignore[method-assign]
        await here.enter()
        with pytest.RaisesGroup(KeyError):
            await asyncio.wait_for(here.holding, SECS)
        assert here.witness.seen[-1] is State.DISCONNECTED


async def test_a_call_whose_pipeline_is_stuck_can_be_broken_off(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.enter()
        await here.witness.until(State.SPEAKING)
        here.room.output().is_stuck = True
        assert not here.conversation.is_ending
        await here.conversation.finish("")
        async with asyncio.timeout(SECS):
            while not here.conversation.is_ending:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await here.conversation.break_off()
        await asyncio.wait_for(here.holding, SECS)


async def test_a_bot_that_is_put_out_of_its_room_ends_its_call(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await here.enter()
        await here.witness.until(State.SPEAKING)
        await here.room.tell(LOST)
        with pytest.raises(ServiceUnavailable, match="not in its room"):
            await asyncio.wait_for(here.holding, SECS)


async def test_a_bot_that_does_not_get_into_its_room_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "ROOM_SECS", 0.5)
    async with scene(tmp_path) as here:
        with pytest.raises(ServiceUnavailable, match="does not get into its room"):
            await asyncio.wait_for(here.holding, SECS)
