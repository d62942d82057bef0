"""Settings from voice.yaml and the environment, read once by whoever starts bots.

This is the only module of `bots` that looks at the environment. A variable
`PARLANTE_VOICE__REALTIME__VAD__THRESHOLD=0.6` overrides `voice.realtime.vad.threshold`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from bots.config import (
    KINDS,
    PHONE_PROVIDERS,
    BotEntry,
    BusConfig,
    Kind,
    McpName,
    McpServerConfig,
    ServerConfig,
    ServiceConfig,
    ServiceProfile,
    TurnConfig,
    VoiceConfig,
)
from bots.errors import ConfigError

ENV_PREFIX = "PARLANTE_"
CONFIG_VARIABLE = "PARLANTE_CONFIG"
PROFILE_VARIABLE = "PARLANTE_PROFILE"
DEFAULT_CONFIG = Path(__file__).parent.parent / "voice.yaml"

ROOM_SERVICES = ("daily", "livekit")
"""Services where rooms can be had, as they are named in `voice.realtime`."""

SECRETS = {
    *("api_key", "api_secret", "auth_token", "secret", "credential", "dialin_secret", "redis_url")
}

HOLDS_SECRETS = re.compile(r"mcp\.[^.]+\.(headers|env)\..+")
"""Where any value may be one, or have one in it."""

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class Settings(BaseSettings):
    """All settings of a process; see voice.yaml, where each is explained.

    Attributes:
        profile: Name of the service profile in use.
        data_dir: Where the database is kept, if it is a file.
        database_url: Where it is else; None for the file.
        models_dir: Where offline models are kept; None for the user's cache.
        server: Where the service listens.
        bus: Where bots in other processes are reached; None for nowhere.
        default_bot: The bot that is started when a client names none.
        bots: The bots on offer, by name.
        profiles: Service profiles, by name.
        mcp: MCP servers, by name.
        voice: Everything about voices.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    profile: str = "auto"
    data_dir: Path = Path("data")
    database_url: SecretStr | None = None
    models_dir: Path | None = None
    server: ServerConfig = ServerConfig()
    bus: BusConfig | None = None
    default_bot: str = "receptionist"
    bots: dict[str, BotEntry] = {"receptionist": BotEntry(module="bots.receptionist")}
    profiles: dict[str, ServiceProfile] = Field(default={"auto": ServiceProfile()})
    mcp: dict[McpName, McpServerConfig] = Field(default={})
    voice: VoiceConfig = VoiceConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content comes in as arguments."""
        return env_settings, init_settings

    @property
    def services(self) -> ServiceProfile:
        """The service profile in use."""
        return self.profiles[self.profile]

    def service(self, kind: Kind) -> tuple[str, ServiceConfig]:
        """Choose the provider for `kind`: the first of the profile whose keys are all set.

        Returns:
            The provider's name and its configuration.

        Raises:
            ConfigError: If none can be used.
        """
        if usable := self.usable(kind):
            return usable[0]
        lacking = []
        for name in getattr(self.services, kind):
            config: ServiceConfig | None = getattr(self.voice.providers[name], kind)
            lack = f"set {', '.join(config.missing_env)}" if config else "not configured"
            lacking.append(f"voice.providers.{name}.{kind}: {lack}")
        raise ConfigError(f"profile '{self.profile}' ({kind})", lacking)

    def usable(self, kind: Kind) -> list[tuple[str, ServiceConfig]]:
        """Return the providers of the profile whose keys are all set, in order of preference."""
        configs = [
            (name, getattr(self.voice.providers[name], kind))
            for name in getattr(self.services, kind)
        ]
        return [(name, config) for name, config in configs if config and not config.missing_env]

    @property
    def turn_detection(self) -> TurnConfig:
        """When a turn ends: as the provider of the speech recognition wants it, else all alike."""
        provider, _ = self.service("stt")
        own = self.voice.providers[provider].turn_detection
        return own or self.voice.realtime.turn_detection

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The services that this process uses: no language model, if all bots think elsewhere."""
        thinks = any(not bot.remote for bot in self.bots.values())
        return KINDS if thinks else ("stt", "tts")

    @property
    def has_local_models(self) -> bool:
        """Whether a service runs on a model that is loaded on this machine."""
        return any(self.service(kind)[0] == "local" for kind in self.kinds)

    @property
    def has_small_llm(self) -> bool:
        """Whether the language model is too small for tools and for a long conversation."""
        return "llm" in self.kinds and self.service("llm")[1].small


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read, expand and check all settings.

    Args:
        path: The file; None for `PARLANTE_CONFIG` or the project's voice.yaml.
        overrides: Settings that replace those of the file; None leaves one alone.

    Raises:
        ConfigError: If anything is wrong, with all problems in it.
    """
    path = path or Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))
    raw = _read(path)
    problems = _written_secrets(raw)
    overrides = overrides or {}
    _merge_profile(raw, os.environ.get(PROFILE_VARIABLE) or overrides.get("profile"))
    _merge(raw, overrides)
    _note_missing_variables(raw, os.environ)
    raw = _expand(raw, os.environ, problems)
    try:
        settings = Settings(**raw)
    except ValidationError as error:
        raise ConfigError(str(path), problems + [_explain(e) for e in error.errors()]) from error
    except SettingsError as error:
        raise ConfigError("the environment", [str(error)]) from error
    problems += _inconsistencies(settings) + _unknown_variables(os.environ)
    if problems:
        raise ConfigError(str(path), problems)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"is not UTF-8 text: {error}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [f"is not valid YAML: {error}"]) from error
    if not isinstance(raw, dict):
        raise ConfigError(str(path), ["expected a mapping at the top level"])
    return raw


def _merge_profile(raw: dict[str, Any], name: str | None) -> None:
    """Change `voice` as the profile in use says."""
    name = name or raw.get("profile") or Settings.model_fields["profile"].default
    profiles = raw.get("profiles")
    profile = profiles.get(name) if isinstance(profiles, dict) else None
    if isinstance(profile, dict):
        _merge(raw, {"voice": profile.get("voice")})


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change what is there; what ought to be a mapping and is none is left to be found wrong."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if isinstance(base.setdefault(key, {}), dict):
                _merge(base[key], value)
        elif value is not None:
            base[key] = value


def _note_missing_variables(raw: dict[str, Any], env: Mapping[str, str]) -> None:
    """Write into each service of others' which of its variables are unset.

    Such a service is merely not available, while elsewhere an unset variable is an error.
    """
    voice = _part(raw, "voice")
    realtime = _part(voice, "realtime")
    services = [_part(realtime, name) for name in ROOM_SERVICES]
    telephony = _part(realtime, "telephony")
    services += [_part(telephony, name) for name in PHONE_PROVIDERS]
    for provider in _part(voice, "providers").values():
        services += provider.values() if isinstance(provider, dict) else ()
    for service in services:
        if not isinstance(service, dict):
            continue
        names = [
            variable["name"]
            for variable in _VARIABLE.finditer(yaml.safe_dump(service, width=10_000))
            if variable["default"] is None and not env.get(variable["name"])
        ]
        if names:
            service["missing_env"] = tuple(dict.fromkeys(names))


def _written_secrets(node: Any, where: str = "") -> list[str]:
    """Find secrets that stand in the file as they are, where everybody reads them."""
    match node:
        case dict():
            return [
                problem
                for key, value in node.items()
                for problem in _written_secrets(value, f"{where}.{key}".lstrip("."))
            ]
        case list():
            return [
                problem
                for index, value in enumerate(node)
                for problem in _written_secrets(value, f"{where}[{index}]")
            ]
        case str() | int() | float() if node and _may_be_secret(where):
            # A header has words before its token.
            is_part = HOLDS_SECRETS.fullmatch(where)
            variable = (_VARIABLE.search if is_part else _VARIABLE.fullmatch)(str(node))
            if not variable or variable["default"]:
                return [
                    f"{where}: a secret must not be in the file: write ${{NAME}} here, and set "
                    "NAME in the environment or in .env"
                ]
    return []


def _may_be_secret(where: str) -> bool:
    return where.rpartition(".")[2] in SECRETS or bool(HOLDS_SECRETS.fullmatch(where))


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a part of the settings; nothing, if it is not there or not a mapping."""
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _expand(node: Any, env: Mapping[str, str], problems: list[str], where: str = "") -> Any:
    match node:
        case dict():
            found: list[str] = []
            expanded = {
                k: _expand(v, env, found, f"{where}.{k}".lstrip(".")) for k, v in node.items()
            }
            if "missing_env" not in node:
                problems += found
            return expanded
        case list():
            return [_expand(v, env, problems, f"{where}[{i}]") for i, v in enumerate(node)]
        case str():

            def value(match: re.Match[str]) -> str:
                name, default = match["name"], match["default"]
                if not env.get(name) and default is None:
                    problems.append(f"{where}: environment variable {name} is not set")
                return env.get(name) or default or ""

            return _VARIABLE.sub(value, node)
        case _:
            return node


def _explain(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: there is no such setting"
        case "missing":
            return f"{where}: is required"
        case _:
            expectation = error["msg"].removeprefix("Value error, ")
            expectation = f"{expectation[:1].lower()}{expectation[1:]}"
            # A whole section may hold secrets.
            given = error["input"]
            may_be_secret = isinstance(given, dict) or _may_be_secret(where)
            instead = "" if may_be_secret else f", not {given!r}"
            return f"{where}: {expectation}{instead}"


def _inconsistencies(settings: Settings) -> list[str]:
    """Find names that point nowhere."""
    problems = []
    if settings.profile not in settings.profiles:
        problems.append(f"profile: '{settings.profile}' is none of {sorted(settings.profiles)}")
    if settings.default_bot not in settings.bots:
        problems.append(f"default_bot: '{settings.default_bot}' is none of {sorted(settings.bots)}")
    if settings.server.port == settings.voice.realtime.worker.port != 0:
        problems.append("voice.realtime.worker.port: is that of the service (server.port)")
    known = settings.voice.providers
    problems += [
        f"voice.prices.providers: '{provider}' is none of {sorted(known)}"
        for provider in settings.voice.prices.providers
        if provider not in known
    ]
    for name, profile in settings.profiles.items():
        for kind in (*KINDS, "realtime"):
            problems += [
                f"profiles.{name}.{kind}: '{provider}' is none of {sorted(known)}"
                for provider in getattr(profile, kind)
                if provider not in known
            ]
    voices = settings.voice.voice_profiles
    for name, bot in settings.bots.items():
        if bot.remote and not settings.bus:
            problems.append(f"bus.redis_url: is required, because bots.{name}.remote is true")
        if bot.voice_profile and bot.voice_profile not in voices:
            problems.append(
                f"bots.{name}.voice_profile: '{bot.voice_profile}' is none of {sorted(voices)}"
            )
        problems += [
            f"bots.{name}.mcp: '{server}' is none of {sorted(settings.mcp)}"
            for server in bot.mcp or ()
            if server not in settings.mcp
        ]
    return problems


def _unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Find PARLANTE_ variables that set nothing: a typing error would pass in silence."""
    known = {field.upper() for field in Settings.model_fields}
    return [
        f"environment variable {name}: there is no such setting"
        for name in sorted(env)
        if name.startswith(ENV_PREFIX)
        and name != CONFIG_VARIABLE
        and name.removeprefix(ENV_PREFIX).split("__")[0].upper() not in known
    ]
