"""The schema of voice.yaml: every setting, its type, its range and its default.

Times are in seconds unless a name says otherwise.
"""

from base64 import b64decode
from contextlib import suppress
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from processors.eager_turn import Preset

Kind = Literal["stt", "llm", "tts", "realtime"]
"""What a service does; the last is speech to speech, in the place of the others."""

KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")
"""The three services of a chained pipeline."""

Mode = Literal["chained", "speech_to_speech"]
"""How a conversation is held: by three services in a chain, or by one that hears and speaks."""

Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
IceUrl = Annotated[str, Field(pattern=r"^(stun|turns?):[^/]")]
"""By RFC 7064 and 7065: no slashes."""


MIN_JWT_SECRET_BYTES = 32
"""Of a key for HS256, by RFC 7518."""

WEBHOOK_SECRET_PREFIX = "whsec_"
WEBHOOK_SECRET_BYTES = range(24, 65)
"""Both by the specification of Standard Webhooks."""


class Section(BaseModel):
    """A part of voice.yaml, in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceConfig(Section):
    """One speech or language service of a provider.

    Attributes:
        model: Model name; for `local` a name from `runner models list` or a path.
        voice: Voice id or, for `local`, a name or a path to an .onnx file.
        language: BCP 47 tag of what is spoken; None leaves it to the service.
        api_key: Usually `${PROVIDER_API_KEY}`; None if the service needs none.
        base_url: Address of a compatible server; None for the provider's own.
        temperature: For an LLM; None leaves it to the bot.
        context_tokens: For an LLM: how much of a conversation it is given at once, estimated by
            four characters a token; the older part is summarised then. `local` has 4,096 with
            everything, and forgets the older half.
        small: For an LLM: whether it is too small for tools and for a long conversation. It is then
            given one fact a turn, and what must be right is said without it.
        pipecat: The folder of pipecat/services that it is in; None for the provider's name. So that
            `openai` may be the protocol of several providers.
        service: Pipecat class to use where a folder has several (`ElevenLabsHttpTTSService`).
        options: Further arguments of that class.
        settings: Further fields of that class's `Settings`.
        missing_env: Environment variables that the section names and that are not set.
    """

    model: str | None = None
    voice: str | None = None
    language: str | None = None
    api_key: str | None = Field(default=None, repr=False)
    base_url: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    context_tokens: Annotated[int, Field(ge=500)] = 16_000
    small: bool = False
    pipecat: str | None = None
    service: str | None = None
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    missing_env: tuple[str, ...] = ()


class ProviderConfig(Section):
    """What one provider is used for.

    Attributes:
        stt: Speech recognition.
        llm: The language model.
        tts: The voice.
        realtime: Speech to speech, in OpenAI's Realtime protocol.
        turn_detection: Replaces `voice.realtime.turn_detection` where this provider recognises the
            speech; None keeps it.
    """

    stt: ServiceConfig | None = None
    llm: ServiceConfig | None = None
    tts: ServiceConfig | None = None
    realtime: ServiceConfig | None = None
    turn_detection: "TurnConfig | None" = None


class VoiceProfile(Section):
    """A voice, for the provider that has it; other providers use their own default voice."""

    provider: str
    voice_id: str
    model_id: str | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0


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
        closing: When the service ends the call because it stops.
        no_answer: When the agent of a bot fails, or does not answer in time.
        lost: When a speech-to-speech service fails in the midst of a call, which goes on without.
        cannot_hear: When no speech recognition answers.
        lost_thread: When a language model fails in the midst of an answer, and another goes on.
        cannot_answer: When no language model answers.
        putting_through: When a caller is put through by somebody who says nothing about it.
    """

    back: str = "I am back."
    anybody_there: str = "Are you still there?"
    nobody_there: str = "I cannot hear you any more, so I will hang up. Goodbye."
    nearly_up: str = "Our time is nearly up."
    time_is_up: str = "I am sorry, our time is up. Goodbye."
    closing: str = "I am sorry, I have to hang up now. Please call again in a moment."
    no_answer: str = "I am sorry, I cannot answer that just now. Could you say it again?"
    lost: str = "I am sorry, I lost you for a moment."
    cannot_hear: str = "I am sorry, I did not get that. Could you say it again?"
    lost_thread: str = "Sorry, I lost my thread."
    cannot_answer: str = "I am sorry, I cannot answer just now. Please ask me again in a moment."
    putting_through: str = "One moment, I will put you through."


class JwtConfig(Section):
    """Which JSON Web Tokens let a user in; they need an expiry (`exp`) and a user (`sub`).

    Attributes:
        secret: What they are signed with, by HS256.
        jwks_url: Where the public keys are that they are signed with, by RS256 or ES256.
        issuer: Who must have made them; None for anybody who has the key.
        audience: Whom they must be for; None for anybody.
        operator_scope: What the claim `scope` of an operator's token holds.
    """

    secret: SecretStr | None = None
    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None
    operator_scope: str = "operator"

    @model_validator(mode="after")
    def _has_one_kind_of_key(self) -> Self:
        if (self.secret is None) == (self.jwks_url is None):
            raise ValueError("expected either secret or jwks_url")
        if self.secret and len(self.secret.get_secret_value()) < MIN_JWT_SECRET_BYTES:
            raise ValueError(f"expected a secret of at least {MIN_JWT_SECRET_BYTES} characters")
        return self


class WebhookConfig(Section):
    """A server that is told what becomes of sessions; see docs/running.md.

    Attributes:
        url: Where messages are posted.
        secret: What they are signed with: `whsec_` and 24 to 64 bytes in Base64.
        events: What it is told of.
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    secret: SecretStr
    events: list[Literal["session.started", "session.joined", "session.left", "session.ended"]] = [
        "session.started",
        "session.joined",
        "session.left",
        "session.ended",
    ]

    @field_validator("secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr) -> SecretStr:
        with suppress(ValueError):
            coded = secret.get_secret_value().removeprefix(WEBHOOK_SECRET_PREFIX)
            if len(b64decode(coded, validate=True)) in WEBHOOK_SECRET_BYTES:
                return secret
        raise ValueError(
            f"expected {WEBHOOK_SECRET_PREFIX} and 24 to 64 bytes in Base64: "
            "`openssl rand -base64 32` makes such"
        )


class ServerConfig(Section):
    """Where the service listens.

    Attributes:
        host: Address to listen on.
        port: 0 picks a free one.
        allowed_origins: Web pages of other origins that may use it (`https://example.com`).
        drain_timeout: How long calls may go on after SIGTERM, in seconds; 0 to end them at once.
        jwt: Which JSON Web Tokens are taken beside API keys; None for none.
        webhooks: Who is told what becomes of sessions.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 7860
    allowed_origins: list[str] = []
    drain_timeout: Annotated[float, Field(ge=0)] = 60
    jwt: JwtConfig | None = None
    webhooks: list[WebhookConfig] = []


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


class WorkerConfig(Section):
    """The processes that hold the calls, and what they may take.

    Calls that need a model of this machine share the process of the service, which has loaded it;
    each of the others has a process of its own.

    Attributes:
        idle: Processes that are kept ready for calls that have one each.
        port: Where probes and metrics are answered, and nothing else; 0 for a free one.
        agent_name: Names this installation where several are watched: in `/status` and `/metrics`.
        load_threshold: Share of all cores of the machine that may be busy, on average of 10 s,
            for `/ready` to have more sessions sent here beside others; 1 for any.
        memory_warn: MB (of 1,000,000 bytes) that a process takes for its calls, beside what it had
            when it was ready, from which on the log warns; 0 for never.
        memory_limit: From which on the process ends: that of one call at once, and the call goes on
            in another; that of the service when its calls have ended, to be started again. 0 for
            never.
    """

    idle: Annotated[int, Field(ge=0, le=100)] = 1
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    agent_name: str = "parlante"
    load_threshold: Share = 0.7
    memory_warn: Annotated[float, Field(ge=0)] = 700
    memory_limit: Annotated[float, Field(ge=0)] = 0


class LoggingConfig(Section):
    """What is logged.

    Attributes:
        level: Lowest level that is shown; at DEBUG and below the log holds what people say.
    """

    level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class IceServerConfig(Section):
    """A STUN or TURN server.

    Attributes:
        urls: Its addresses, such as `stun:stun.example.com` or
            `turns:turn.example.com?transport=tcp`.
        username: For a TURN server that has fixed users; None for others.
        credential: Their password.
        secret: For a TURN server that shares a secret with this service (coturn's
            `static-auth-secret`): every session gets credentials of its own, which expire.
    """

    urls: IceUrl | Annotated[list[IceUrl], Field(min_length=1)]
    username: str | None = None
    credential: str | None = Field(default=None, repr=False)
    secret: SecretStr | None = None

    @model_validator(mode="after")
    def _has_one_kind_of_credential(self) -> Self:
        if self.secret and (self.username or self.credential):
            raise ValueError("expected either secret or username and credential")
        return self


class DailyConfig(Section):
    """Rooms at Daily.

    Attributes:
        api_key: Of a Daily domain.
        api_url: Where Daily's REST API is.
        recording: What Daily records of every call, and keeps; None for nothing.
        dialin_secret: What Daily signs phone calls with (`hmac` of a number's settings), Base64;
            None, or nothing, to take none.
        missing_env: Environment variables that the section names and that are not set.
    """

    api_key: SecretStr
    api_url: str = "https://api.daily.co/v1"
    recording: Literal["cloud", "cloud-audio-only", "raw-tracks"] | None = None
    dialin_secret: SecretStr | None = None
    missing_env: tuple[str, ...] = ()

    @field_validator("dialin_secret")
    @classmethod
    def _is_base64(cls, secret: SecretStr | None) -> SecretStr | None:
        if not secret or not secret.get_secret_value():
            return None
        try:
            b64decode(secret.get_secret_value(), validate=True)
        except ValueError as error:
            raise ValueError("expected Base64, as Daily shows it") from error
        return secret


class LiveKitConfig(Section):
    """Rooms at a LiveKit server.

    Attributes:
        url: Where the server is, for clients as well: `wss://...`.
        api_key: Names the secret.
        api_secret: What tokens are signed with.
        missing_env: Environment variables that the section names and that are not set.
    """

    url: str
    api_key: SecretStr
    api_secret: SecretStr
    missing_env: tuple[str, ...] = ()


class ServerVadConfig(Section):
    """When a speech-to-speech service takes a turn for begun and ended.

    Attributes:
        threshold: How sure it must be that it hears speech.
        prefix_padding: What it listens to before that, too.
        silence: After so much of it, a turn is answered.
    """

    threshold: Share = 0.5
    prefix_padding: Seconds = 0.3
    silence: Seconds = 0.5


class SpeechToSpeechConfig(Section):
    """How conversations are held speech to speech.

    Attributes:
        server_vad: When turns begin and end.
        transcription: What transcribes the user, for the transcript; the model hears them itself.
        start_timeout: How long the service may take to answer before the chained pipeline does.
    """

    server_vad: ServerVadConfig = ServerVadConfig()
    transcription: str = "gpt-4o-transcribe"
    start_timeout: Annotated[float, Field(gt=0)] = 5.0


Transport = Literal["webrtc", "websocket", "daily", "livekit"]
"""How a client comes."""


class RealtimeConfig(Section):
    """How calls are held.

    Attributes:
        enabled: Whether sessions are started; those that there are go on.
        transport: How a client comes that does not say so.
        daily: Rooms at Daily; None for none.
        livekit: Rooms at a LiveKit server; None for none.
        recording: Whether the sound of calls is kept, in `data_dir`.
        mode: How a conversation is held by a bot that does not say so.
    """

    enabled: bool = True
    transport: Transport = "webrtc"
    mode: Mode = "chained"
    daily: DailyConfig | None = None
    livekit: LiveKitConfig | None = None
    recording: bool = False
    vad: VadConfig = VadConfig()
    turn_detection: TurnConfig = TurnConfig()
    interruptions: InterruptionConfig = InterruptionConfig()
    agent: AgentConfig = AgentConfig()
    speech_to_speech: SpeechToSpeechConfig = SpeechToSpeechConfig()
    audio: AudioConfig = AudioConfig()
    ice_servers: list[IceServerConfig] = []
    limits: LimitConfig = LimitConfig()
    failover: FailoverConfig = FailoverConfig()
    announcements: AnnouncementConfig = AnnouncementConfig()
    worker: WorkerConfig = WorkerConfig()
    logging: LoggingConfig = LoggingConfig()


class VoiceConfig(Section):
    """Everything about voices, said once and used by every bot."""

    providers: dict[str, ProviderConfig] = {"local": ProviderConfig()}
    voice_profiles: dict[str, VoiceProfile] = {}
    realtime: RealtimeConfig = RealtimeConfig()


class ServiceProfile(Section):
    """Which provider is used for what.

    Attributes:
        stt: Providers in order of preference: the first whose keys are all set is used, and the
            others in the cloud whose keys are set stand in for it when it fails.
        llm: The same for the language model.
        tts: The same for the voice.
        realtime: The same for speech to speech; none has every conversation held by the others.
        voice: What to change in `voice` where this profile is in use.
    """

    stt: list[str] = ["local"]
    llm: list[str] = ["local"]
    tts: list[str] = ["local"]
    realtime: list[str] = []
    voice: dict[str, Any] = {}


class ServiceWishes(Section):
    """Which models and voice answer, of the providers that the profile has chosen, and how.

    Attributes:
        stt_model: For the speech recognition; None keeps that of voice.yaml.
        llm_model: For the language model; None keeps that of voice.yaml.
        tts_model: For the voice; None keeps that of voice.yaml.
        tts_voice: The voice; None keeps that of the bot's profile, or of voice.yaml.
        allow_interruptions: Whether the user may stop the bot; None keeps that of voice.yaml.
        enable_thinking_sound: Whether it is heard that the bot thinks; None keeps that of
            voice.yaml.
        thinking_volume: How loud; None keeps that of voice.yaml.
    """

    stt_model: str | None = None
    llm_model: str | None = None
    tts_model: str | None = None
    tts_voice: str | None = None
    allow_interruptions: bool | None = None
    enable_thinking_sound: bool | None = None
    thinking_volume: Share | None = None


Word = Annotated[str, Field(min_length=1, max_length=50)]
Lexicon = Annotated[dict[Word, Word], Field(max_length=100)]
"""Words, and how to write them so that a voice speaks them right. Each text is searched for all."""


class BotChanges(ServiceWishes):
    """What is changed about a bot: by an installation, for a user, or for one session.

    Attributes:
        greeting: Its first words; "" for none; None keeps the bot's own.
        instructions: Replaces the bot's prompt; None keeps it.
        voice_profile: One of `voice.voice_profiles`; None keeps the bot's own.
        temperature: For the LLM; None keeps the bot's own.
        max_tokens: Longest reply; None keeps the bot's own.
        lexicon: Words, and how to write them so that the voice speaks them right; None keeps the
            bot's own.
        mode: How the conversation is held; None keeps the bot's own, or that of voice.yaml.
    """

    greeting: str | None = None
    instructions: str | None = None
    voice_profile: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    lexicon: Lexicon | None = None
    mode: Mode | None = None


class BotEntry(BotChanges):
    """A bot that is offered, and what this installation changes about it.

    Attributes:
        module: Python module with the bot.
        agent: What makes the agent that answers in the place of the language model, as
            `package.module:factory`; None keeps the bot's own.
        specialists: Bots that it puts callers through to; None keeps the bot's own.
        own_voices: Whether each of them has its own voice; None keeps the bot's own choice.
    """

    module: str
    # Only whoever installs bots says which code runs: it is none of `BotChanges`.
    agent: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    specialists: list[str] | None = None
    own_voices: bool | None = None
