"""The one state machine of a call: what the bot is doing, as users and operators see it.

`path` is the pure decision, `VoiceState` holds the state of one call, and
`VoiceStateObserver` feeds it with the frames of a pipeline.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    StartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed


class State(StrEnum):
    """What the bot is doing."""

    DISCONNECTED = "disconnected"
    """There is no call: not yet, or no more."""
    CONNECTING = "connecting"
    """The media connection is being made."""
    INITIALIZING = "initializing"
    """The pipeline is being started."""
    LISTENING = "listening"
    """Nobody speaks; the user may."""
    PROCESSING = "processing"
    """The user speaks and is being transcribed."""
    THINKING = "thinking"
    """The reply is being made."""
    SPEAKING = "speaking"
    """The bot speaks."""
    DISCONNECTING = "disconnecting"
    """The call is being ended."""


_ALLOWED: dict[State, tuple[State, ...]] = {
    State.DISCONNECTED: (State.CONNECTING,),
    State.CONNECTING: (State.INITIALIZING, State.DISCONNECTED),
    State.INITIALIZING: (State.LISTENING, State.DISCONNECTED),
    # The bot may open its mouth unasked: a greeting, a reminder.
    State.LISTENING: (State.PROCESSING, State.THINKING, State.DISCONNECTING),
    # What sounded like speech can turn out to be none.
    State.PROCESSING: (State.THINKING, State.LISTENING, State.DISCONNECTING),
    # The user may go on before a word of the reply was heard.
    State.THINKING: (State.SPEAKING, State.LISTENING, State.DISCONNECTING),
    State.SPEAKING: (State.LISTENING, State.DISCONNECTING),
    State.DISCONNECTING: (State.DISCONNECTED,),
}


def path(start: State, goal: State) -> list[State]:
    """Return the shortest allowed way from `start` to `goal`, without `start` itself.

    It is empty when the two are the same. Barge-in, for example, is speaking -> listening ->
    processing.
    """
    ways = deque([[start]])
    while (way := ways.popleft())[-1] is not goal:
        ways.extend([*way, following] for following in _ALLOWED[way[-1]] if following not in way)
    return way[1:]


class VoiceState:
    """The state of one call; tells `publish` of every state it enters, in order.

    Args:
        publish: Called with each new state.
    """

    def __init__(self, publish: Callable[[State], Awaitable[None]]) -> None:
        self._publish = publish
        self._moving = asyncio.Lock()
        self._current = State.DISCONNECTED

    @property
    def current(self) -> State:
        """The state now."""
        return self._current

    async def move(self, goal: State) -> None:
        """Go to `goal`, through the states between if it is not next.

        A call that has ended is not brought back by a frame that comes late: its goal is ignored.
        """
        async with self._moving:
            ended = self._current in (State.DISCONNECTING, State.DISCONNECTED)
            if ended and goal not in (State.DISCONNECTED, State.CONNECTING):
                return
            for state in path(self._current, goal):
                self._current = state
                await self._publish(state)


class VoiceStateObserver(BaseObserver):
    """Moves a `VoiceState` by what it sees in the pipeline.

    Two things that no frame tells come from outside: that the client is connected, and that a
    turn of the user held no words.
    """

    def __init__(self, state: VoiceState) -> None:
        super().__init__(observe_every_push=False)
        self._state = state
        self._user_speaks = False
        self._is_interrupted = False
        self._uses_tools = False

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow a frame that was pushed for the first time."""
        match data.frame:
            case StartFrame():
                await self._state.move(State.INITIALIZING)
            case UserStartedSpeakingFrame():
                self._user_speaks = True
                await self._state.move(State.PROCESSING)
            case UserStoppedSpeakingFrame():
                self._user_speaks = False
            case LLMFullResponseStartFrame():
                self._uses_tools = False
                # A bot that speaks while it thinks of more is heard, not waited for.
                if self._state.current is not State.SPEAKING or self._is_interrupted:
                    await self._state.move(State.THINKING)
            case FunctionCallsStartedFrame():
                self._uses_tools = True
            case LLMFullResponseEndFrame(skip_tts=True) if not self._uses_tools:
                # The answer is read, and nothing tells that it was spoken.
                if self._state.current is State.THINKING:
                    await self._state.move(State.LISTENING)
            case InterruptionFrame():
                # That the bot has fallen silent may be told behind the next answer's beginning.
                self._is_interrupted = True
            case BotStartedSpeakingFrame():
                self._is_interrupted = False
                await self._state.move(State.SPEAKING)
            case BotStoppedSpeakingFrame():
                if self._state.current is State.SPEAKING:
                    goal = State.PROCESSING if self._user_speaks else State.LISTENING
                    await self._state.move(goal)
