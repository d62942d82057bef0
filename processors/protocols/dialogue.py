"""What is said in a call, utterance by utterance, as RTVI tells of it piece by piece.

The protocols of JSON messages tell one thing of each at its time: that the user has said something,
all of what, and that the answer is over. RTVI tells of the parts that make these up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from processors.push_to_talk import NOTHING_SAID
from processors.voice_state import State

PAUSE_SECS = 0.4
"""So long the bot is silent when its answer is over: a shorter silence is one between two speeches,
such as "one moment" and what a tool has found."""

DUE_SECS = 8.0
"""So long an answer is waited for, or the sound of its words, that may never come: services stand
in for each other for less than that."""


@dataclass(frozen=True)
class SpeechStarted:
    """The user begins to speak."""


@dataclass(frozen=True)
class SpeechEnded:
    """The user has spoken: an answer is due."""


@dataclass(frozen=True)
class Heard:
    """What the user says.

    Attributes:
        text: All of it, from the beginning of the utterance on.
        is_final: Whether the utterance is over.
    """

    text: str
    is_final: bool


@dataclass(frozen=True)
class Wrote:
    """The language model has written more of the answer."""

    text: str


@dataclass(frozen=True)
class Written:
    """The language model writes no more, unless a tool has it write again."""


@dataclass(frozen=True)
class Said:
    """The bot says words that no language model has written, such as a reminder."""

    text: str


@dataclass(frozen=True)
class Called:
    """The bot uses a tool."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class FellSilent:
    """The bot has spoken; more of the answer may come."""


@dataclass(frozen=True)
class Over:
    """The answer is over, or there is none.

    Attributes:
        is_cut_off: Whether the user talks over it.
    """

    is_cut_off: bool = False


@dataclass(frozen=True)
class Failed:
    """A service has failed; another may stand in for it."""

    message: str


Event: TypeAlias = (
    SpeechStarted
    | SpeechEnded
    | Heard
    | Wrote
    | Written
    | Said
    | Called
    | FellSilent
    | Over
    | Failed
)


class _Answer(Enum):
    """How far the answer is."""

    NONE = auto()
    """None is due."""
    DOUBTFUL = auto()
    """The client has ended an utterance of which nothing was heard yet."""
    DUE = auto()
    """The user has spoken."""
    UNWANTED = auto()
    """There will be none."""
    BEGUN = auto()
    """Something of it was told."""


class Dialogue:
    """Makes out of RTVI's messages what happens in a call.

    Attributes:
        user_speaks: Whether the user does.
        is_writing: Whether the language model does.
    """

    def __init__(self) -> None:
        self.user_speaks = False
        self.is_writing = False
        self._segments: list[str] = []
        self._partial = ""
        self._answer = _Answer.NONE
        self._state = ""
        self._bot_speaks = False
        self._tools = 0
        # What the language model has written for this answer, and whether it is to be spoken yet.
        self._written = ""
        self._has_unspoken = False
        # Whether the voice makes more of it; on a slow machine the bot falls silent meanwhile.
        self._is_voicing = False
        self._said: set[Any] = set()

    @property
    def is_answering(self) -> bool:
        """Whether the bot speaks, writes or uses tools."""
        return bool(self._bot_speaks or self.is_writing or self._tools)

    @property
    def settles_in(self) -> float | None:
        """Seconds after which, if nothing more is told, `settle` is to be called; None for never.

        They count from the last message, or the last call of `release`.
        """
        if self.user_speaks or self.is_answering:
            return None
        match self._answer:
            case _Answer.NONE:
                return None
            case _Answer.UNWANTED:
                return PAUSE_SECS
            case _Answer.BEGUN if not self._has_unspoken and not self._is_voicing:
                return PAUSE_SECS
            case _:
                return DUE_SECS

    def settle(self) -> Iterable[Event]:
        """Return what the silence means."""
        if self.settles_in is not None:
            self._end()
            yield Over()

    def release(self) -> None:
        """Take from the client that the user has said all of an utterance."""
        if not self.user_speaks and self._answer is _Answer.NONE:
            self._answer = _Answer.DOUBTFUL

    def follow(self, kind: str, data: Mapping[str, Any]) -> Iterable[Event]:
        """Return what a message tells of.

        Args:
            kind: Its type; `server-message` for those of Parlante.
            data: What it says.
        """
        match kind:
            case "user-started-speaking":
                # Who goes on before that has one answer to all of it.
                if self._answer is _Answer.BEGUN:
                    yield Over(is_cut_off=self._has_unspoken or self.is_answering)
                self._end()
                self.user_speaks = True
                # What still comes of the answer was written before.
                self.is_writing = False
                self._segments.clear()
                self._said.clear()
                yield SpeechStarted()
            case "user-stopped-speaking":
                self.user_speaks = False
                # Where no words were heard, the bot may listen again before this is told; speech to
                # speech, it may answer.
                if self._answer is not _Answer.BEGUN:
                    is_listening = self._state == State.LISTENING
                    self._answer = _Answer.UNWANTED if is_listening else _Answer.DUE
                yield SpeechEnded()
                if self._segments:
                    yield Heard(" ".join(self._segments), True)
                    self._segments.clear()
                    self._partial = ""
            case "user-transcription" if text := data["text"].strip():
                yield from self._hear(text, is_final=data["final"])
            case "server-message" if data.get("type") == "voice-state":
                self._state = data["state"]
                if self._state == State.LISTENING and self._answer is _Answer.DUE:
                    self._answer = _Answer.UNWANTED
            case "server-message" if data.get("type") == NOTHING_SAID:
                if self._answer is _Answer.DOUBTFUL:
                    self._answer = _Answer.UNWANTED
            case "error":
                yield Failed(data["error"])
            case _:
                yield from self._follow_bot(kind, data)

    def _follow_bot(self, kind: str, data: Mapping[str, Any]) -> Iterable[Event]:
        match kind:
            case "bot-interrupted":
                self.is_writing = self._has_unspoken = self._is_voicing = False
                self._tools = 0
            case "bot-llm-started":
                if self._answer is not _Answer.BEGUN:
                    self._written = ""
                self.is_writing = True
            case "bot-llm-text" if self.is_writing:
                # Before, it may be an answer made ahead, of which no word is told.
                self._answer = _Answer.BEGUN
                self._written += data["text"]
                self._has_unspoken = self._has_unspoken or bool(data["text"].strip())
                yield Wrote(data["text"])
            case "bot-llm-stopped" if self.is_writing:
                self.is_writing = False
                yield Written()
            case "llm-function-call-started":
                self._tools += 1
            case "llm-function-call-in-progress":
                self._answer = _Answer.BEGUN
                yield Called(data["function_name"], data.get("arguments") or {})
            case "llm-function-call-stopped":
                self._tools = max(0, self._tools - 1)
            case "bot-tts-started":
                self._is_voicing = True
            case "bot-tts-stopped":
                self._is_voicing = False
            case "bot-started-speaking":
                self._answer = _Answer.BEGUN
                self._bot_speaks = True
            case "bot-stopped-speaking" if self._bot_speaks:
                self._bot_speaks = self._has_unspoken = False
                yield FellSilent()
            case "bot-output" if self._is_own(data):
                self._said.add(data["segment_id"])
                yield Said(data["text"])

    def _hear(self, text: str, *, is_final: bool) -> Iterable[Heard]:
        if is_final and not self.user_speaks:
            # It comes late, or was said behind the bot's words and is not answered.
            yield Heard(text, True)
            self._partial = ""
            return
        partial = " ".join([*self._segments, text])
        if is_final:
            self._segments.append(text)
        if partial != self._partial:
            self._partial = partial
            yield Heard(partial, False)

    def _is_own(self, data: Mapping[str, Any]) -> bool:
        """Say whether words are the bot's own, not the model's, and told for the first time.

        Some voices tell of words before they are spoken, others only then.
        """
        if data["spoken_status"] == "in-progress" or data["segment_id"] in self._said:
            return False
        return _letters(data["text"]) not in _letters(self._written)

    def _end(self) -> None:
        self._answer = _Answer.NONE
        self._has_unspoken = self._is_voicing = False


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
