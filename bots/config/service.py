"""The service that holds calls: who may use it, its processes, and the rooms elsewhere."""

import re
from base64 import b64decode
from contextlib import suppress
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from bots.config.section import Section, Share

IceUrl = Annotated[str, Field(pattern=r"^(stun|turns?):[^/]")]
"""By RFC 7064 and 7065: no slashes."""

MIN_JWT_SECRET_BYTES = 32
"""Of a key for HS256, by RFC 7518."""

CAN_BE_CALLED = re.compile(r"sips?:[^@\s]+@[^@\s]+|\+[1-9][0-9]{6,14}")


def _check_callee(to: object) -> object:
    if isinstance(to, str) and CAN_BE_CALLED.fullmatch(to):
        return to
    # Without quotes, YAML takes a phone number for a number.
    raise ValueError("expected sip:NAME@HOST, or a phone number as '+15550123', in quotes")


Callee = Annotated[str, BeforeValidator(_check_callee)]
"""A SIP address, or a phone number in E.164."""

WEBHOOK_SECRET_PREFIX = "whsec_"

WEBHOOK_SECRET_BYTES = range(24, 65)
"""Both by the specification of Standard Webhooks."""


SessionEvent = Literal["session.started", "session.joined", "session.left", "session.ended"]


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
    events: list[SessionEvent] = Field(default=list(get_args(SessionEvent)))

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
    allowed_origins: list[str] = Field(default=[])
    drain_timeout: Annotated[float, Field(ge=0)] = 60
    jwt: JwtConfig | None = None
    webhooks: list[WebhookConfig] = Field(default=[])


class WorkerConfig(Section):
    """The processes that hold the calls, and what they may take.

    Calls that need a model of this machine share the process of the service, which has loaded it;
    each of the others has a process of its own.

    Attributes:
        idle: Processes that are kept ready for calls that have one each.
        port: Where probes and metrics are answered, and nothing else; 0 for a free one.
        agent_name: Names this installation where several are watched: in `/status`, `/metrics`
            and traces.
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


class BusConfig(Section):
    """Where bots in other processes are reached.

    Attributes:
        redis_url: Of a Redis server, `redis://` or, with TLS, `rediss://`. All who can write to it
            can speak for these bots.
        prefix: Goes before the names of channels, whatever the database of the address: of several
            installations on one server each has its own.
        answers: How many questions a process answers at once; above, they are left to others.
    """

    redis_url: SecretStr
    prefix: Annotated[str, Field(min_length=1)] = "parlante"
    answers: Annotated[int, Field(ge=1, le=1000)] = 50

    @field_validator("redis_url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            # What is taken for a port may be a piece of a password, which an error would tell.
            is_address = parts.scheme in ("redis", "rediss") and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValueError(
                "expected redis://... or rediss://..., and in a password %2F for /, %23 for #"
            )
        return url


class LoggingConfig(Section):
    """What is logged.

    Attributes:
        level: Lowest level that is shown; at DEBUG and below the log holds what people say.
    """

    level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class TracesConfig(Section):
    """Where traces are sent by OpenTelemetry, over HTTP.

    They hold what people say. What else the exporter is to know (headers, certificates) it reads
    from the environment: `OTEL_EXPORTER_OTLP_HEADERS` and others.

    Attributes:
        endpoint: The collector, without `/v1/traces`; None for nowhere.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/]")] | None = None


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
        transfer_to: Who takes the calls of those who want to talk to a person: a SIP address, or a
            phone number in E.164; None for nobody.
        missing_env: Environment variables that the section names and that are not set.
    """

    api_key: SecretStr
    api_url: str = "https://api.daily.co/v1"
    recording: Literal["cloud", "cloud-audio-only", "raw-tracks"] | None = None
    dialin_secret: SecretStr | None = None
    transfer_to: Callee | None = None
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
