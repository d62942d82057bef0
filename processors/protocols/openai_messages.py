"""What clients of OpenAI's Realtime protocol send, as far as it is taken.

Fields that are not here are ignored, because clients send what they take for the defaults.
"""

import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

MAX_TOOLS = 128

Id: TypeAlias = Annotated[str, Field(max_length=200)]
"""What a client names things by: it is kept as long as the conversation, and sent back."""


class Pcm(BaseModel, frozen=True):
    """16-bit PCM."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class MuLaw(BaseModel, frozen=True):
    """G.711 at 8 kHz, as in North America and Japan."""

    type: Literal["audio/pcmu"]


class ALaw(BaseModel, frozen=True):
    """G.711 at 8 kHz, as elsewhere."""

    type: Literal["audio/pcma"]


AudioFormat: TypeAlias = Annotated[Pcm | MuLaw | ALaw, Field(discriminator="type")]

PCM = Pcm()


class TurnDetection(BaseModel, frozen=True):
    """How it is found out when the user has said what they wanted.

    Attributes:
        type: Either has the one turn detection that there is.
        create_response: Whether what they say is answered by itself.
        interrupt_response: Whether they may stop the bot by speaking.
    """

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    create_response: bool = True
    interrupt_response: bool = True


BY_ITSELF = TurnDetection()


class Transcription(BaseModel):
    """That the client is told what the user says; who writes it down is for the bot to say."""

    model: str | None = None
    language: str | None = None


def _without_references(parameters: dict[str, Any]) -> dict[str, Any]:
    # JSON has no NaN and no infinity, which Python would read.
    if '"$ref"' in json.dumps(parameters, allow_nan=False):
        raise ValueError("arguments that are defined by $ref are not taken: write them out")
    return parameters


class Tool(BaseModel):
    """A function of the client's."""

    type: Literal["function"] = "function"
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str = ""
    parameters: Annotated[dict[str, Any], AfterValidator(_without_references)] = {}


class Voice(BaseModel):
    """A voice by its name."""

    id: str


class InputChanges(BaseModel):
    """What is to be different about what is heard."""

    format: AudioFormat | None = None
    turn_detection: TurnDetection | None = None
    transcription: Transcription | None = None


class OutputChanges(BaseModel):
    """What is to be different about what is spoken."""

    format: AudioFormat | None = None
    voice: str | Voice | None = None


class AudioChanges(BaseModel):
    """What is to be different about sound."""

    input: InputChanges = InputChanges()
    output: OutputChanges = OutputChanges()


Modalities: TypeAlias = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
"""Text goes with sound anyway; alone, it is not spoken."""


class SessionChanges(BaseModel):
    """What is to be different about the session. What is not set stays as it is."""

    type: Literal["realtime"] = "realtime"
    instructions: str | None = None
    output_modalities: Modalities | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["auto"] = "auto"
    audio: AudioChanges = AudioChanges()


class Text(BaseModel):
    """A part of a message."""

    type: Literal["input_text", "output_text"]
    text: str


class MessageItem(BaseModel):
    """Something said, or a word to the bot, for the conversation."""

    type: Literal["message"]
    id: Id | None = None
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Text], Field(min_length=1)]


class FunctionOutputItem(BaseModel):
    """What a tool of the client's has returned."""

    type: Literal["function_call_output"]
    id: Id | None = None
    call_id: Id
    output: str


class ResponseOptions(BaseModel):
    """What is to be different about one response."""

    instructions: str | None = None
    output_modalities: Modalities | None = None
    conversation: Literal["auto"] | None = None
    input: None = None
    metadata: dict[str, str] | None = None


class Event(BaseModel):
    """Anything that a client sends.

    Attributes:
        event_id: How the client calls it.
    """

    event_id: Id | None = None


class SessionUpdate(BaseModel):
    """The client wants another session."""

    type: Literal["session.update"]
    session: SessionChanges


class Append(BaseModel):
    """A piece of what the microphone records."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class Commit(BaseModel):
    """The user says no more in this utterance."""

    type: Literal["input_audio_buffer.commit"]


class Clear(BaseModel):
    """What was recorded is not to be heard."""

    type: Literal["input_audio_buffer.clear"]


class CreateItem(BaseModel):
    """The client adds something to the conversation."""

    type: Literal["conversation.item.create"]
    previous_item_id: Id | None = None
    item: Annotated[MessageItem | FunctionOutputItem, Field(discriminator="type")]


class Truncate(BaseModel):
    """Of an answer, the user has heard only the beginning."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: Literal[0]
    audio_end_ms: Annotated[int, Field(ge=0)]


class CreateResponse(BaseModel):
    """The client wants the bot to answer."""

    type: Literal["response.create"]
    response: ResponseOptions | None = None


class CancelResponse(BaseModel):
    """The client wants to hear no more of an answer."""

    type: Literal["response.cancel"]
    response_id: Id | None = None


ClientMessage: TypeAlias = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | CreateItem
    | Truncate
    | CreateResponse
    | CancelResponse
)

CLIENT_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")]
)
