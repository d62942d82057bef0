"""Who recognises, answers and speaks, and all of `voice`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from bots.config.conversation import (
    AgentConfig,
    AnnouncementConfig,
    AudioConfig,
    FailoverConfig,
    InterruptionConfig,
    LimitConfig,
    TranscriptConfig,
    TurnConfig,
    VadConfig,
)
from bots.config.prices import PriceConfig
from bots.config.section import Seconds, Section, Share, Speed
from bots.config.service import (
    DailyConfig,
    IceServerConfig,
    LiveKitConfig,
    LoggingConfig,
    TracesConfig,
    WorkerConfig,
)
from bots.config.telephony import TelephonyConfig

Kind = Literal["stt", "llm", "tts", "realtime"]
"""What a service does; the last is speech to speech, in the place of the others."""

KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")
"""The three services of a chained pipeline."""

Mode = Literal["chained", "speech_to_speech"]
"""How a conversation is held: by three services in a chain, or by one that hears and speaks."""


class ServiceConfig(Section):
    """One speech or language service of a provider.

    Attributes:
        model: Model name; for `local` a name from `runner models list` or a path.
        voice: Voice id or, for `local`, a name or a path to an .onnx file.
        language: What is spoken where a bot does not say, as Pipecat names it ("de", "en-GB"); None
            leaves it to the service.
        api_key: Usually `${PROVIDER_API_KEY}`; None if the service needs none.
        base_url: Address of a compatible server; None for the provider's own.
        temperature: For an LLM, where a bot says nothing about it; None for 0.7.
        context_tokens: For an LLM: how much of a conversation it is given at once, estimated by
            four characters a token; the older part is summarised then. `local` has 4,096 with
            everything, and forgets the older half.
        small: For an LLM: whether it is too small for tools and for a long conversation. It is then
            given one fact a turn, and what must be right is said without it.
        free: For an LLM: whether it may be asked in vain, as one of your own may (vLLM, Ollama). It
            then answers ahead at every pause, and reads along while the user speaks.
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
    free: bool = False
    pipecat: str | None = None
    service: str | None = None
    options: dict[str, Any] = Field(default={})
    settings: dict[str, Any] = Field(default={})
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
    speed: Speed = 1.0


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
        telephony: Phone calls that come here.
        recording: Whether the sound of calls is kept, in `data_dir`.
        mode: How a conversation is held by a bot that does not say so.
    """

    enabled: bool = True
    transport: Transport = "webrtc"
    mode: Mode = "chained"
    daily: DailyConfig | None = None
    livekit: LiveKitConfig | None = None
    telephony: TelephonyConfig = TelephonyConfig()
    recording: bool = False
    vad: VadConfig = VadConfig()
    turn_detection: TurnConfig = TurnConfig()
    interruptions: InterruptionConfig = InterruptionConfig()
    transcripts: TranscriptConfig = TranscriptConfig()
    agent: AgentConfig = AgentConfig()
    speech_to_speech: SpeechToSpeechConfig = SpeechToSpeechConfig()
    audio: AudioConfig = AudioConfig()
    ice_servers: list[IceServerConfig] = Field(default=[])
    limits: LimitConfig = LimitConfig()
    failover: FailoverConfig = FailoverConfig()
    announcements: AnnouncementConfig = AnnouncementConfig()
    worker: WorkerConfig = WorkerConfig()
    logging: LoggingConfig = LoggingConfig()
    traces: TracesConfig = TracesConfig()


class VoiceConfig(Section):
    """Everything about voices, said once and used by every bot."""

    providers: dict[str, ProviderConfig] = Field(default={"local": ProviderConfig()})
    voice_profiles: dict[str, VoiceProfile] = Field(default={})
    prices: PriceConfig = PriceConfig()
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

    stt: list[str] = Field(default=["local"])
    llm: list[str] = Field(default=["local"])
    tts: list[str] = Field(default=["local"])
    realtime: list[str] = Field(default=[])
    voice: dict[str, Any] = Field(default={})
