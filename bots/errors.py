"""Errors that reach the person who runs or configures bots.

ParlanteError
├── ConfigError           voice.yaml or an environment variable is wrong
├── ServiceUnavailable    a provider cannot be used: key, extra or model missing
└── DatabaseUnavailable   the database cannot be reached now
"""

from typing import Any


class ParlanteError(Exception):
    """An error with a code for programs and a message for people.

    Attributes:
        code: SCREAMING_SNAKE_CASE, stable.
        message: What is wrong and what to do.
    """

    code = "INTERNAL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it go to another process, whatever it was made of."""
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(
    kind: type[ParlanteError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> ParlanteError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class ConfigError(ParlanteError):
    """A setting is wrong; lists every problem that was found.

    Args:
        source: The file that was read.
        problems: One line for each: where, and what was expected.
    """

    code = "CONFIG_INVALID"

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__("\n".join([f"{source} cannot be used:", *(f"  - {p}" for p in problems)]))
        self.problems = problems


class ServiceUnavailable(ParlanteError):
    """A speech or language service cannot be made from what is configured and installed."""

    code = "SERVICE_UNAVAILABLE"


class DatabaseUnavailable(ParlanteError):
    """The database cannot be reached; it may be back in a moment."""

    code = "DATABASE_UNAVAILABLE"
