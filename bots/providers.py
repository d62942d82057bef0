"""From settings to Pipecat's STT, LLM, TTS and speech-to-speech services.

A provider's name is the name of its folder in `pipecat.services`, with dots for slashes, if its
settings do not name another; `local` stands for the offline models. Every service is made in the
same way, by looking at what its class takes.
"""

import importlib
import inspect
import re
from contextlib import suppress
from dataclasses import fields
from typing import Any

from loguru import logger
from pipecat.services.ai_service import AIService
from pipecat.services.llm_service import LLMService
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language

from bots.cloud_clients import CloudClients
from bots.config import Kind, ServiceConfig, SpeechToSpeechConfig
from bots.errors import ConfigError, ServiceUnavailable
from bots.local import LocalServices
from bots.local_files import check_language, language_of_voice
from bots.registry import Bot
from bots.settings import Settings
from bots.speeds import pace
from bots.tools.desk import TOOL_SECS
from processors.hearing_failover import watched_stt
from processors.llm_failover import watched_llm
from processors.own_connection import OwnConnection
from processors.realtime_session import RealtimeSession
from processors.watched_voice import watched_tts

_BASES: dict[Kind, type[AIService]] = {
    "stt": STTService,
    "llm": LLMService,
    "tts": TTSService,
    "realtime": OpenAIRealtimeLLMService,
}

TEMPERATURE = 0.7
"""Of a language model, where neither a bot nor the settings say anything about it."""

MAX_REALTIME_TOKENS = 4096
MAX_REALTIME_SPEED = 1.5
"""The most that OpenAI's Realtime protocol takes."""

REALTIME_PATH = "/realtime"
AZURE_PATH = "/openai/v1"
"""Of an Azure resource, where OpenAI's protocols are spoken."""


def service_for(kind: Kind, bot: Bot, settings: Settings) -> tuple[str, ServiceConfig]:
    """Choose a service for a bot.

    Returns:
        The provider's name, and its configuration with the model, the voice, the language and the
        temperature that the bot wants.

    Raises:
        ConfigError: If no provider can be used.
        ServiceUnavailable: If the bot wants another offline model than is loaded.
    """
    provider, config = settings.service(kind)
    config = _as_wanted(kind, provider, config, bot, settings)
    wishes = {"model": getattr(bot, f"{kind}_model")}
    if kind in ("tts", "realtime"):
        wishes["voice"] = getattr(bot, f"{kind}_voice")
    changes = {key: it for key, it in wishes.items() if it and it != getattr(config, key)}
    if changes and provider == "local":
        raise ServiceUnavailable(
            f"{kind}: {config.model or config.voice} is loaded on this machine, and no other"
        )
    return provider, config.model_copy(update=changes)


def services_for(kind: Kind, bot: Bot, settings: Settings) -> list[tuple[str, ServiceConfig]]:
    """Choose a service for a bot, and those that stand in for it when it fails.

    They are the others in the cloud that can be made: an offline model takes memory, and is not
    loaded in case another fails. Of speech services, those stand in and are stood in for that say
    when they are done with a piece of work. A bot's wishes for a model are for the first alone.

    Returns:
        Providers and configurations in order of preference, as `service_for` does.

    Raises:
        ConfigError: If no provider can be used.
        ServiceUnavailable: If the bot wants another offline model than is loaded.
    """
    first = service_for(kind, bot, settings)
    if kind != "llm" and not _is_watched(kind, *first):
        return [first]
    others = [
        (provider, _as_wanted(kind, provider, config, bot, settings))
        for provider, config in settings.usable(kind)
        if provider != first[0] and _is_watched(kind, provider, config)
    ]
    return [first, *others]


def _as_wanted(
    kind: Kind, provider: str, config: ServiceConfig, bot: Bot, settings: Settings
) -> ServiceConfig:
    """Return the configuration with what a bot wants of any provider.

    That is its language, its temperature, and the voice of its profile, if the provider has it.
    """
    wanted: dict[str, Any] = {}
    if kind == "llm":
        choices = (bot.temperature, config.temperature, TEMPERATURE)
        wanted["temperature"] = next(it for it in choices if it is not None)
    elif bot.language:
        wanted["language"] = bot.language
    profile = settings.voice.voice_profiles.get(bot.voice_profile)
    if kind == "tts" and profile and profile.provider == provider != "local":
        wanted |= {"voice": profile.voice_id, "model": profile.model_id or config.model}
    return config.model_copy(update=wanted)


def _is_watched(kind: Kind, provider: str, config: ServiceConfig) -> bool:
    """Return whether a service in the cloud can be made, and says when it fails."""
    if provider == "local":
        return False
    try:
        check(kind, provider, config)
    except ServiceUnavailable as error:
        logger.debug("it cannot stand in for another: {}", error.message)
        return False
    service = _service_class(kind, config.pipecat or provider, config.service)
    return _watched(service) is not service


def kinds_of(bot: Bot, settings: Settings) -> list[Kind]:
    """Return which kinds of services this process has for a bot."""
    return [kind for kind in settings.kinds if kind != "llm" or not bot.remote]


def check_bot(bot: Bot, settings: Settings) -> None:
    """Make sure, before any call, that the services of a bot can be made which this process uses.

    Raises:
        ConfigError: If there is no provider for one.
        ServiceUnavailable: If one lacks a package or a setting, is not loaded, does not know the
            bot's language, or cannot speak at another speed.
    """
    for kind in kinds_of(bot, settings):
        provider, config = service_for(kind, bot, settings)
        check(kind, provider, config)
        if provider == "local":
            check_language(kind, config, settings)
        elif kind == "tts" and bot.speed:
            _check_speed(provider, config, bot.speed)
    if "tts" in settings.kinds and bot.mode_in(settings) == "speech_to_speech":
        # Without a key for it the others do.
        with suppress(ConfigError):
            check("realtime", *service_for("realtime", bot, settings))


def _check_speed(provider: str, config: ServiceConfig, speed: float) -> None:
    if speed != 1.0 and not _pace(provider, config, speed):
        raise ServiceUnavailable(
            f"tts: {provider} has no speed of speech: leave it out, or take another voice"
        )


def spoken_language(provider: str, config: ServiceConfig, settings: Settings) -> str | None:
    """Return what a voice speaks; None if nobody has said.

    Raises:
        ServiceUnavailable: If an offline voice is not named, or not there.
    """
    if provider == "local" and config.language is None:
        return language_of_voice(config, settings)
    return config.language


def without_price(bot: Bot, settings: Settings) -> set[str]:
    """Return which models of a bot do not count for a budget, behind their provider's names.

    Those that stand in for others are among them.

    Raises:
        ConfigError: If there is no provider for one.
        ServiceUnavailable: If the bot wants another offline model than is loaded.
    """
    services = [
        (kind, *service)
        for kind in kinds_of(bot, settings)
        for service in services_for(kind, bot, settings)
    ]
    if "tts" in settings.kinds and bot.mode_in(settings) == "speech_to_speech":
        # Without a key for it the others do.
        with suppress(ConfigError):
            services.append(("realtime", *service_for("realtime", bot, settings)))
    return {
        f"{provider}/{config.model or ''}"
        for kind, provider, config in services
        if not settings.voice.prices.has(kind, provider, config.model)
    }


def make_stt(
    provider: str, config: ServiceConfig, local: LocalServices, *, clients: CloudClients
) -> STTService:
    """Make the speech recognition of one session.

    Args:
        provider: Its name.
        config: What the settings say about it.
        local: Makes those on the offline models.
        clients: Of those in the cloud.

    Raises:
        ServiceUnavailable: If the provider, its extra or a setting is missing.
    """
    if provider == "local":
        return local.make_stt(_language("stt", config))
    return _make("stt", provider, config, clients, language=_language("stt", config))  # type: ignore[return-value]


def make_llm(
    provider: str,
    config: ServiceConfig,
    local: LocalServices,
    *,
    clients: CloudClients,
    instructions: str,
    max_tokens: int,
    retries: bool = True,
) -> LLMService[Any]:
    """Make the language model of one session.

    Args:
        provider: Its name.
        config: What the settings say about it, and the bot's temperature.
        local: Makes those on the offline models.
        clients: Of those in the cloud.
        instructions: Who the bot is.
        max_tokens: Longest reply.
        retries: Whether what fails is tried again, where the provider's client can do that.

    Raises:
        ServiceUnavailable: If the provider, its extra or a setting is missing.
    """
    wishes = {
        "system_instruction": instructions,
        "temperature": config.temperature,
        "max_tokens": max_tokens,
    }
    if provider == "local":
        return local.make_llm(**wishes)
    return _make("llm", provider, config, clients, retries=retries, **wishes)  # type: ignore[return-value]


def make_tts(
    provider: str,
    config: ServiceConfig,
    local: LocalServices,
    *,
    clients: CloudClients,
    speed: float,
) -> TTSService:
    """Make the voice of one session.

    Args:
        provider: Its name.
        config: What the settings say about it.
        local: Makes those on the offline models.
        clients: Of those in the cloud.
        speed: 1 for as fast as the voice is; a voice goes as near to it as it can.

    Raises:
        ServiceUnavailable: If the provider, its extra or a setting is missing.
    """
    if provider == "local":
        return local.make_tts(speed)
    wishes = {"language": _language("tts", config), **_pace(provider, config, speed)}
    return _make("tts", provider, config, clients, **wishes)  # type: ignore[return-value]


def make_realtime(
    provider: str,
    config: ServiceConfig,
    rules: SpeechToSpeechConfig,
    *,
    instructions: str,
    tools: list[Any],
    max_tokens: int | None,
    speed: float,
) -> RealtimeSession:
    """Make the speech-to-speech service of one session.

    Args:
        provider: Its name.
        config: What the settings say about it.
        rules: When it takes turns for begun and ended, and what transcribes them.
        instructions: Who the bot is, and what it knows.
        tools: Async functions that it may call.
        max_tokens: Longest answer; None for the service's own.
        speed: 1 for as fast as the voice is; a service goes as near to it as it can.

    Raises:
        ServiceUnavailable: If the provider, its extra or a setting is missing.
    """
    service = _service_class("realtime", provider, config.service)
    watched: type[RealtimeSession] = type(service.__name__, (RealtimeSession, service), {})
    arguments = _arguments(
        watched,
        "realtime",
        provider,
        config,
        {
            "system_instruction": instructions,
            "session_properties": events.SessionProperties(
                audio=_sound(config, rules, speed),
                tools=tools or None,
                max_output_tokens=max_tokens and min(max_tokens, MAX_REALTIME_TOKENS),
            ),
        },
    )
    arguments.setdefault("function_call_timeout_secs", TOOL_SECS)
    try:
        return watched(**arguments)
    except (TypeError, ValueError) as error:
        raise ServiceUnavailable(f"voice.providers.{provider}.realtime: {error}") from error


def _pace(provider: str, config: ServiceConfig, speed: float) -> dict[str, Any]:
    """Return what makes a voice speak at a speed; nothing for its own, or if it has no other."""
    if speed == 1.0:
        return {}
    protocol = config.pipecat or provider
    known = _fields(_service_class("tts", protocol, config.service))
    told = pace(protocol, config.model, speed)
    return {name: value for name, value in told.items() if name in known}


def _sound(
    config: ServiceConfig, rules: SpeechToSpeechConfig, speed: float
) -> events.AudioConfiguration:
    vad, language = rules.server_vad, _language("realtime", config)
    return events.AudioConfiguration(
        input=events.AudioInput(
            format=events.PCMAudioFormat(),
            transcription=events.InputAudioTranscription(
                model=rules.transcription, language=language and language.partition("-")[0]
            ),
            turn_detection=events.TurnDetection(
                threshold=vad.threshold,
                prefix_padding_ms=round(vad.prefix_padding * 1000),
                silence_duration_ms=round(vad.silence * 1000),
            ),
        ),
        output=events.AudioOutput(
            format=events.PCMAudioFormat(),
            voice=config.voice,
            speed=None if speed == 1.0 else min(speed, MAX_REALTIME_SPEED),
        ),
    )


def _socket_url(provider: str, config: ServiceConfig) -> str | None:
    """Return where a realtime service is, whose address is given as for the others."""
    if not config.base_url:
        return None
    url = re.sub(r"^http", "ws", config.base_url.rstrip("/"))
    if provider == "azure" and re.fullmatch(r"wss?://[^/]+", url):
        url += AZURE_PATH
    return url if url.endswith(REALTIME_PATH) else url + REALTIME_PATH


def check(kind: Kind, provider: str, config: ServiceConfig) -> None:
    """Make sure, before any call, that a service can be made.

    Raises:
        ServiceUnavailable: If the provider, its extra or a setting is missing, or nobody knows the
            language.
    """
    _language(kind, config)
    if provider != "local":
        service = _service_class(kind, config.pipecat or provider, config.service)
        _arguments(service, kind, provider, config, {})


def _make(
    kind: Kind,
    provider: str,
    config: ServiceConfig,
    clients: CloudClients,
    retries: bool = True,
    **wishes: Any,
) -> AIService:
    service: type[AIService] = clients.sharing(
        _service_class(kind, config.pipecat or provider, config.service), provider, retries=retries
    )
    service = _watched(service)
    arguments = _arguments(service, kind, provider, config, wishes)
    if "http_client" in _parameters(service):
        arguments.setdefault("http_client", clients.http)
    if kind == "llm":
        arguments.setdefault("function_call_timeout_secs", TOOL_SECS)
    if issubclass(service, OwnConnection) and "reconnect_on_error" in _parameters(service):
        # It is told of at once, and `OwnConnection` makes another connection when one is needed.
        arguments.setdefault("reconnect_on_error", False)
    try:
        return service(**arguments)
    except (TypeError, ValueError) as error:
        raise ServiceUnavailable(f"voice.providers.{provider}.{kind}: {error}") from error


def _watched(service: type[AIService]) -> type[AIService]:
    """Return the class with a watch, if it says when it is done with a piece of work."""
    if issubclass(service, LLMService):
        return watched_llm(service)
    if issubclass(service, TTSService):
        return watched_tts(service)
    return watched_stt(service) if issubclass(service, STTService) else service


def _service_class(kind: Kind, provider: str, name: str | None) -> type[AIService]:
    """Find Pipecat's class: the named one, or the plainest of the module."""
    module_name = f"pipecat.services.{provider}.{'realtime.llm' if kind == 'realtime' else kind}"
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        if (error.name or "").startswith("pipecat.services"):
            raise ServiceUnavailable(
                f"voice.providers.{provider}.{kind}: Pipecat has no such service ({module_name})"
            ) from error
        extra = provider.partition(".")[0]
        raise ServiceUnavailable(
            f"voice.providers.{provider}.{kind} needs a package that is not installed ({error}). "
            f'Run: uv pip install "pipecat-ai[{extra}]"'
        ) from error
    classes = {
        cls.__name__: cls
        for cls in vars(module).values()
        if inspect.isclass(cls)
        and issubclass(cls, _BASES[kind])
        and cls.__module__ == module_name
        and not cls.__name__.startswith("Base")
        and cls.__name__.lower().startswith(re.sub(r"[_.]", "", provider))
    }
    if name and name not in classes:
        raise ServiceUnavailable(
            f"voice.providers.{provider}.{kind}.service: {name} is none of {sorted(classes)}"
        )
    if not classes:
        raise ServiceUnavailable(f"{module_name} has no {kind} service")
    return classes[name or min(classes, key=len)]


def _arguments(
    service: type[AIService],
    kind: Kind,
    provider: str,
    config: ServiceConfig,
    wishes: dict[str, Any],
) -> dict[str, Any]:
    """Sort what is configured and wished into constructor arguments and `Settings` fields.

    A wish that the service does not know is left out; what is written in voice.yaml must fit.
    """
    where = f"voice.providers.{provider}.{kind}"
    known = _fields(service)
    settings = {k: v for k, v in wishes.items() if k in known and v is not None}
    if kind == "realtime":
        # Its voice is a property of the session.
        config = config.model_copy(
            update={"voice": None, "base_url": _socket_url(provider, config)}
        )
    written = {"model": config.model, "voice": config.voice, **config.settings}
    for key, value in written.items():
        if value is None:
            continue
        if key not in known:
            raise ServiceUnavailable(f"{where}: {service.__name__} has no setting '{key}'")
        settings[key] = value
    parameters = _parameters(service)
    arguments = dict(config.options)
    for key, names in (("api_key", {"api_key"}), ("base_url", {"base_url", "url"})):
        if value := getattr(config, key):
            if not names & parameters:
                raise ServiceUnavailable(f"{where}: {service.__name__} takes no {key}")
            arguments[min(names & parameters)] = value
    return {**arguments, "settings": service.Settings(**settings)}  # type: ignore[attr-defined]


def _fields(service: type[AIService]) -> set[str]:
    """Return what the settings of a service have."""
    return {field.name for field in fields(service.Settings)}  # type: ignore[attr-defined]


def _parameters(service: type[AIService]) -> set[str]:
    """Return what a constructor takes; it may pass what it does not name on to its parent's."""
    return {
        name
        for cls in service.__mro__
        for name in inspect.signature(vars(cls).get("__init__", object)).parameters
    }


def _language(kind: Kind, config: ServiceConfig) -> Language | None:
    """Turn the name of a language into Pipecat's.

    Raises:
        ServiceUnavailable: If Pipecat does not know it.
    """
    if config.language is None:
        return None
    try:
        return Language(config.language)
    except ValueError as error:
        raise ServiceUnavailable(
            f"{kind}: language '{config.language}' is not known: name one as Pipecat does, like "
            "'de' or 'en-GB'"
        ) from error
