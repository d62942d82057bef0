"""The session of OpenAI's Realtime protocol, and what of it a client may change."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from processors.protocols.json_serializer import Message, ProtocolError
from processors.protocols.openai_messages import (
    BY_ITSELF,
    PCM,
    AudioFormat,
    SessionChanges,
    Tool,
    Transcription,
    TurnDetection,
    Voice,
)


@dataclass(frozen=True)
class Answerer:
    """Who answers a client, and what the client may change about that.

    Attributes:
        session_id: Names the conversation.
        name: Of the bot.
        voice: The name of its voice.
        instruct: Returns what its language model is told where a client tells it who it is ("" for
            who it was); None where it cannot be told.
        takes_tools: Whether the client may have tools of its own.
        is_chained: Whether what hears, thinks and speaks is apart, so that the client may say when
            it answers, and whether that is spoken.
        is_interruptible: Whether it can be interrupted.
    """

    session_id: str
    name: str
    voice: str
    instruct: Callable[[str], str] | None
    takes_tools: bool
    is_chained: bool
    is_interruptible: bool


@dataclass(frozen=True)
class Session:
    """What a client has made of its session.

    Attributes:
        answerer: Who answers.
        instructions: Who the client wants that to be; "" for who it is.
        tools: The client's.
        heard: The form of the sound that the client sends.
        spoken: The form of the sound that it gets.
        turns: How it is found out when the user has said what they wanted; None where the client
            says so.
        transcription: That the client is told what the user says; None for not.
        is_spoken: Whether answers are spoken, or only written.
    """

    answerer: Answerer
    instructions: str = ""
    tools: tuple[Tool, ...] = ()
    heard: AudioFormat = PCM
    spoken: AudioFormat = PCM
    turns: TurnDetection | None = BY_ITSELF
    transcription: Transcription | None = None
    is_spoken: bool = True

    @property
    def answers_turns(self) -> bool:
        """Whether what the user says is answered by itself."""
        return self.turns is not None and self.turns.create_response

    def changed(self, changes: SessionChanges) -> "Session":
        """Return the session as the client wants it.

        Raises:
            ProtocolError: If it cannot be so; then all stays as it is.
        """
        wanted: dict[str, Any] = {}
        heard, spoken = changes.audio.input, changes.audio.output
        if changes.instructions is not None:
            wanted["instructions"] = changes.instructions
        if changes.tools is not None:
            wanted["tools"] = tuple(changes.tools)
        if changes.output_modalities is not None:
            wanted["is_spoken"] = changes.output_modalities == ["audio"]
        if heard.format:
            wanted["heard"] = heard.format
        if spoken.format:
            wanted["spoken"] = spoken.format
        for name, field in (("turns", "turn_detection"), ("transcription", "transcription")):
            if field in heard.model_fields_set:
                wanted[name] = getattr(heard, field)
        voice = spoken.voice.id if isinstance(spoken.voice, Voice) else spoken.voice
        session = replace(self, **wanted)
        session._check(voice)
        return session

    def described(self) -> Message:
        """Return the session as the client is told of it."""
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{self.answerer.session_id}",
            "model": self.answerer.name,
            "output_modalities": ["audio" if self.is_spoken else "text"],
            "instructions": self.instructions,
            "tools": [tool.model_dump() for tool in self.tools],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "audio": {
                "input": {
                    "format": self.heard.model_dump(),
                    "noise_reduction": None,
                    "transcription": self.transcription
                    and self.transcription.model_dump(exclude_none=True),
                    "turn_detection": self.turns and self.turns.model_dump(),
                },
                "output": self.output_described(),
            },
        }

    def output_described(self) -> Message:
        """Return how answers are spoken, as the client is told of it."""
        return {"format": self.spoken.model_dump(), "voice": self.answerer.voice}

    def _check(self, voice: str | None) -> None:
        bot = self.answerer
        if voice not in (None, bot.voice):
            raise ProtocolError("unknown_voice", f"the voice of '{bot.name}' is '{bot.voice}'")
        refused = {
            "instructions": self.instructions and not bot.instruct,
            "tools": self.tools and not bot.takes_tools,
            "audio.input.turn_detection": not (self.answers_turns or bot.is_chained),
            "output_modalities": not (self.is_spoken or bot.is_chained),
        }
        if names := ", ".join(name for name, is_refused in refused.items() if is_refused):
            raise ProtocolError("unsupported", f"of '{bot.name}', {names} cannot be changed")
