"""Errors of the service, and what a client sees of them: over HTTP, and over a WebSocket.

ParlanteError (bots.errors)
├── ConfigError, ServiceUnavailable      1011
├── DatabaseUnavailable                  1013
├── UnknownBot                           1003
└── ServiceError
    ├── Unauthenticated             401  4003
    ├── KeySetUnavailable           503  1013
    ├── Forbidden                   403  4003
    ├── SessionNotFound             404  4003
    ├── RecordingNotFound           404  4003
    ├── SessionTaken                409  4003
    ├── OriginNotAllowed            403  4003
    ├── SessionLimitExceeded        429  1013
    ├── StartRateExceeded           429  1013
    ├── Overloaded                  503  1013
    ├── ServiceDraining             503  1013
    ├── ProcessUnavailable          503  1013
    ├── SessionsDisabled            503  1013
    ├── BodyTooLarge                413  1008
    ├── InvalidRequest              422  1008
    ├── TransportUnavailable        400  1008
    ├── RoomUnavailable             502  1013
    └── ConnectionFailed            422  1008
"""

from typing import Any

from bots.errors import DatabaseUnavailable, ParlanteError, ServiceUnavailable
from bots.registry import UnknownBot

WS_NO_SUCH_BOT = 1003
WS_CANNOT_BE_TAKEN = 1008
WS_INTERNAL_ERROR = 1011
WS_TRY_AGAIN_LATER = 1013
DATABASE_RETRY_SECS = 5
WS_REFUSED = 4003
"""What Pipecat's own runner closes a WebSocket with that it does not want."""


class ServiceError(ParlanteError):
    """An error with an HTTP status.

    Attributes:
        http_status: What an HTTP client gets.
        retryable: Whether the same request may work later.
        retry_after_secs: When; None if nobody can say.
    """

    http_status = 500
    retryable = False
    retry_after_secs: int | None = None


class Unauthenticated(ServiceError):
    """Nobody knows who is asking."""

    code = "UNAUTHENTICATED"
    http_status = 401


class KeySetUnavailable(ServiceError):
    """The keys that tokens are signed with cannot be had."""

    code = "KEY_SET_UNAVAILABLE"
    http_status = 503
    retryable = True
    retry_after_secs = 10


class Forbidden(ServiceError):
    """Only operators may do that."""

    code = "FORBIDDEN"
    http_status = 403


class SessionNotFound(ServiceError):
    """There is no such session, or no more."""

    code = "SESSION_NOT_FOUND"
    http_status = 404


class RecordingNotFound(ServiceError):
    """The sound of the session was not kept."""

    code = "RECORDING_NOT_FOUND"
    http_status = 404


class SessionTaken(ServiceError):
    """Another client of the session came at the same time, and was faster."""

    code = "SESSION_TAKEN"
    http_status = 409


class OriginNotAllowed(ServiceError):
    """A page of another origin wants to use the service."""

    code = "ORIGIN_NOT_ALLOWED"
    http_status = 403


class SessionLimitExceeded(ServiceError):
    """All lines are busy."""

    code = "SESSION_LIMIT_EXCEEDED"
    http_status = 429
    retryable = True
    retry_after_secs = 10


class StartRateExceeded(ServiceError):
    """A user starts sessions too fast.

    Args:
        message: What is wrong and what to do.
        retry_after_secs: When the next may be started.
    """

    code = "START_RATE_EXCEEDED"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after_secs: int) -> None:
        super().__init__(message)
        self.retry_after_secs = retry_after_secs


class Overloaded(ServiceError):
    """Calls are so slow that another would make them worse."""

    code = "SERVICE_OVERLOADED"
    http_status = 503
    retryable = True
    retry_after_secs = 10


class ServiceDraining(ServiceError):
    """The service is about to stop."""

    code = "SERVICE_DRAINING"
    http_status = 503
    retryable = True
    retry_after_secs = 5


class ProcessUnavailable(ServiceError):
    """There is no process for a call, or no more."""

    code = "PROCESS_UNAVAILABLE"
    http_status = 503
    retryable = True
    retry_after_secs = 5


class SessionsDisabled(ServiceError):
    """The settings let nobody start a session."""

    code = "SESSIONS_DISABLED"
    http_status = 503
    retryable = True
    retry_after_secs = 60


class BodyTooLarge(ServiceError):
    """A request is above the limit."""

    code = "BODY_TOO_LARGE"
    http_status = 413


class InvalidRequest(ServiceError):
    """A request is not of the form that the API describes."""

    code = "INVALID_REQUEST"
    http_status = 422


class TransportUnavailable(ServiceError):
    """The service does not offer the transport that was asked for."""

    code = "TRANSPORT_UNAVAILABLE"
    http_status = 400


class RoomUnavailable(ServiceError):
    """A service where calls are held gives no room, or lets no bot in."""

    code = "ROOM_UNAVAILABLE"
    http_status = 502
    retryable = True
    retry_after_secs = 5


class ConnectionFailed(ServiceError):
    """What the client offers cannot be connected to."""

    code = "CONNECTION_FAILED"
    http_status = 422


def http_status(kind: type[ParlanteError]) -> int:
    """Return the HTTP status that stands for errors of a kind."""
    if issubclass(kind, ServiceError):
        return kind.http_status
    if issubclass(kind, UnknownBot):
        return 404
    if issubclass(kind, ServiceUnavailable | DatabaseUnavailable):
        return 503
    return 500


def http_headers(error: ParlanteError) -> dict[str, str]:
    """Return what an HTTP client is told beside the error itself."""
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case DatabaseUnavailable():
            return {"Retry-After": str(DATABASE_RETRY_SECS)}
        case ServiceError(retry_after_secs=int(secs)):
            return {"Retry-After": str(secs)}
        case _:
            return {}


def is_retryable(error: ParlanteError) -> bool:
    """Say whether the same request may work later."""
    return isinstance(error, DatabaseUnavailable) or (
        isinstance(error, ServiceError) and error.retryable
    )


def ws_close_code(error: ParlanteError) -> int:
    """Return the code that a WebSocket is closed with because of `error`."""
    if is_retryable(error):
        return WS_TRY_AGAIN_LATER
    if isinstance(error, UnknownBot):
        return WS_NO_SUCH_BOT
    if not isinstance(error, ServiceError):
        return WS_INTERNAL_ERROR
    return WS_REFUSED if error.http_status in (401, 403, 404, 409) else WS_CANNOT_BE_TAKEN


def error_body(code: str, message: str, *, retryable: bool) -> dict[str, Any]:
    """Return the one shape of an error.

    `info` and `detail` repeat the message because Pipecat's clients show these.
    """
    return {
        "error": {"code": code, "message": message, "retryable": retryable},
        "info": message,
        "detail": message,
    }
