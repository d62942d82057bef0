"""How conversations are held: turns, limits, failures, words and sounds."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bots.config.section import Money, Seconds, Section, Share
from processors.eager_turn import Preset


class VadConfig(Section):
    """When sound counts as speech.

    Attributes:
        provider: What detects it.
        threshold: How sure that must be.
        min_speech_duration: Shorter sounds are none.
        max_speech_duration: Speech without any pause is recognised in pieces of this length.
    """

    provider: Literal["silero"] = "silero"
    threshold: Share = 0.5
    min_speech_duration: Seconds = 0.1
    max_speech_duration: Annotated[float, Field(ge=1)] = 30


class TurnConfig(Section):
    """When a user has finished.

    Attributes:
        preset: How soon to answer: `snappy` cuts people off now and then, `patient` hardly ever.
        min_delay: Silence before which nothing is answered.
        max_delay: Silence after which anything is answered.
    """

    preset: Preset = "balanced"
    min_delay: Annotated[float, Field(ge=0.1, le=5)] = 0.5
    max_delay: Annotated[float, Field(ge=0.2, le=30)] = 3.0

    @model_validator(mode="after")
    def _ordered(self) -> "TurnConfig":
        if self.min_delay > self.max_delay:
            raise ValueError("min_delay must not be above max_delay")
        return self


class TranscriptConfig(Section):
    """What is left out of what users say; both know English.

    Attributes:
        drop_fillers: Whether "um" and the like are.
        mask_profanity: Whether swear words are, but for their first letter.
    """

    drop_fillers: bool = False
    mask_profanity: bool = False


class InterruptionConfig(Section):
    """When a user may stop the bot.

    Attributes:
        enabled: Whether they may at all.
        min_speech_duration: Speech over the bot's before it falls silent.
        min_words: Words it takes; 0 asks for none, and then the duration counts.
    """

    enabled: bool = True
    min_speech_duration: Seconds = 0.5
    min_words: Annotated[int, Field(ge=0)] = 0


class LimitConfig(Section):
    """Bounds on calls, in seconds.

    Attributes:
        sessions: Calls at once; None for one for each core (8 at most) where speech is recognised
            or answered on this machine, and for 10 elsewhere.
        sessions_per_user: Of one user at once; None for any number. Where nobody needs a key there
            are no users to tell apart.
        starts_per_minute: Sessions that one user may start within a minute; None for any number.
        max_lag: How late the event loop may be, on average of 10 s, for one more session to be
            taken beside others; None for however late.
        max_wait: How long half of the answers of the last minute may have taken for that; None for
            however long.
        session_duration: Longest session, from its start to its end.
        duration_warning: How long before its end the user is told; 0 for not at all.
        idle_timeout: Silence after the bot's last word until it asks whether anybody is there, and
            as long again until the call is ended; None for never.
        join_timeout: How long a started session waits for its client.
        lost_peer_timeout: How long a client may be silent, or gone, before its call is ended.
        empty_timeout: How long a session then waits for its client to come back; it holds no line,
            unless its bot waits in a room at Daily or LiveKit.
        participants: How many there may be in such a room, the bot included.
        budget: What a session may cost, with a bot that has no budget of its own; it is ended
            behind the answer that reaches this. None for whatever it costs.
    """

    sessions: Annotated[int, Field(ge=1)] | None = None
    sessions_per_user: Annotated[int, Field(ge=1)] | None = 3
    starts_per_minute: Annotated[int, Field(ge=1)] | None = 30
    max_lag: Annotated[float, Field(gt=0)] | None = 0.25
    max_wait: Annotated[float, Field(gt=0)] | None = 3.0
    session_duration: Annotated[float, Field(gt=0)] = 3600
    duration_warning: Annotated[float, Field(ge=0)] = 60
    idle_timeout: Annotated[float, Field(gt=0)] | None = 60
    join_timeout: Annotated[float, Field(gt=0)] = 60
    lost_peer_timeout: Annotated[float, Field(gt=0)] = 8
    empty_timeout: Annotated[float, Field(gt=0)] = 300
    participants: Annotated[int, Field(ge=2)] = 2
    budget: Money | None = None


class TimeoutConfig(Section):
    """How long a service may be silent.

    Attributes:
        first_output: Until the first that it gives.
        idle: Between that and the rest of it.
    """

    first_output: Annotated[float, Field(gt=0)]
    idle: Annotated[float, Field(gt=0)]


class FailoverConfig(Section):
    """When a service has failed, and the next of its list does its work; see docs/failures.md.

    Attributes:
        stt: For speech recognition in the cloud; less than `turn_detection.max_delay`, when a turn
            without words is given up.
        llm: For language models in the cloud.
        tts: For voices in the cloud.
        failures: After so many in a row of any calls, a service is left alone.
        rest: For how long. Then one call tries it, and it has its place back if that goes well.
    """

    stt: TimeoutConfig = TimeoutConfig(first_output=2.5, idle=2.5)
    llm: TimeoutConfig = TimeoutConfig(first_output=6, idle=4)
    tts: TimeoutConfig = TimeoutConfig(first_output=4, idle=2)
    failures: Annotated[int, Field(ge=1)] = 2
    rest: Annotated[float, Field(gt=0)] = 30


class AnnouncementConfig(Section):
    """What the bot says of the call itself; nothing where a text is empty.

    Attributes:
        back: When its user comes back into a conversation in which nothing waits for an answer.
        anybody_there: After a long silence; where it is empty, that ends the call.
        nobody_there: When a silence ends the call.
        nearly_up: Some time before the call's longest duration.
        time_is_up: When that ends the call.
        budget_spent: When its budget ends the call.
        closing: When the service ends the call because it stops.
        no_answer: When the agent of a bot fails, or does not answer in time.
        lost: When a speech-to-speech service fails in the midst of a call, which goes on without.
        cannot_hear: When no speech recognition answers.
        lost_thread: When a language model fails in the midst of an answer, and another goes on.
        cannot_answer: When no language model answers.
        putting_through: When a caller is put through by somebody who says nothing about it.
        not_put_through: When a caller on the phone could not be put through to a person.
        one_moment: When a tool runs for `one_moment_after` seconds, and nothing has been said since
            the caller spoke.
    """

    back: str = "I am back."
    anybody_there: str = "Are you still there?"
    nobody_there: str = "I cannot hear you any more, so I will hang up. Goodbye."
    nearly_up: str = "Our time is nearly up."
    time_is_up: str = "I am sorry, our time is up. Goodbye."
    budget_spent: str = "I am sorry, I have to end our call here. Goodbye."
    closing: str = "I am sorry, I have to hang up now. Please call again in a moment."
    no_answer: str = "I am sorry, I cannot answer that just now. Could you say it again?"
    lost: str = "I am sorry, I lost you for a moment."
    cannot_hear: str = "I am sorry, I did not get that. Could you say it again?"
    lost_thread: str = "Sorry, I lost my thread."
    cannot_answer: str = "I am sorry, I cannot answer just now. Please ask me again in a moment."
    putting_through: str = "One moment, I will put you through."
    not_put_through: str = (
        "I am sorry, nobody can take your call just now. You will be called back within an hour."
    )
    one_moment: str = "One moment."
    one_moment_after: Annotated[float, Field(gt=0)] = 1.0


class SoundConfig(Section):
    """A sound that is heard behind the bot's voice.

    Attributes:
        enabled: Whether it is.
        sound: Name of a file in bots/sounds (`office`), or a path to an audio file.
        volume: How loud, as a share of what is in the file.
    """

    enabled: bool = False
    sound: str
    volume: Share


class AudioConfig(Section):
    """What is heard besides voices.

    Attributes:
        thinking: While the bot thinks, until its first word.
        ambience: During the whole call.
    """

    thinking: SoundConfig = SoundConfig(sound="keyboard", volume=0.5)
    ambience: SoundConfig = SoundConfig(sound="office", volume=0.3)


class AgentConfig(Section):
    """What holds for every bot, unless its own entry says otherwise.

    Attributes:
        initial_greeting: Whether bots speak first.
        temperature: For the LLM; None keeps each bot's own.
        max_tokens: Longest reply; None keeps each bot's own.
    """

    initial_greeting: bool = True
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
