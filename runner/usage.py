"""What sessions have consumed and cost: added up, and as it is shown."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from processors.usage import Amounts, Used
from runner.tables import UsageRow

COST_DIGITS = 6
"""Behind the point; a token may cost less than a millionth."""


class ServiceUsage(BaseModel):
    """What one service has consumed in a session.

    Attributes:
        kind: What it was for: `stt`, `llm`, `tts`, or `realtime` for speech to speech.
        provider: Whose it is.
        model: Which model; empty where it has no name.
        prompt_tokens: What a language model has read, whatever else it is beside.
        cached_tokens: Of these, what it had read before.
        cache_write_tokens: Of these, what it has kept for later.
        audio_prompt_tokens: Of these, sound.
        audio_cached_tokens: Of `cached_tokens`, sound.
        completion_tokens: What it has written or, speech to speech, said.
        audio_completion_tokens: Of these, sound.
        estimated_tokens: Of `prompt_tokens` and `completion_tokens`, those that no service told of:
            of summaries, and of answers that were cut off.
        characters: What a voice has spoken.
        audio_secs: What speech recognition has heard, in seconds.
        cost: In the currency of the whole; null where it has no price.
    """

    kind: str
    provider: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    audio_prompt_tokens: int
    audio_cached_tokens: int
    completion_tokens: int
    audio_completion_tokens: int
    estimated_tokens: int = 0
    characters: int
    audio_secs: float
    cost: float | None


class SessionUsage(BaseModel):
    """What a session has consumed so far.

    Attributes:
        currency: In which it costs something.
        cost: What everything has cost that has a price.
        unpriced: What has none, as `kind: provider/model`.
        services: Who has done what.
    """

    currency: str
    cost: float
    unpriced: list[str]
    services: list[ServiceUsage]


class Bill:
    """What a session has consumed, by who did the work.

    Args:
        session_id: Which one.
        rows: What it had consumed before, as it was kept.
    """

    def __init__(self, session_id: str, rows: Iterable[UsageRow] = ()) -> None:
        self._session_id = session_id
        self._services = {
            (row.kind, row.provider, row.model): (Amounts(**row.amounts), row.cost) for row in rows
        }

    @property
    def cost(self) -> float:
        """What everything has cost that has a price."""
        return sum(cost or 0.0 for _, cost in self._services.values())

    @property
    def rows(self) -> list[UsageRow]:
        """All of it, as it is kept."""
        return [self._row(key) for key in self._services]

    def add(self, used: Used) -> UsageRow:
        """Add a piece of work, and return what its service has consumed so far."""
        key = (used.kind, used.provider, used.model)
        amounts, cost = self._services.get(key, (Amounts(), None))
        # What had no price before may have one where the settings have changed.
        together = (cost or 0.0) + used.cost if used.cost is not None else cost
        self._services[key] = (amounts + used.amounts, together)
        return self._row(key)

    def _row(self, key: tuple[str, str, str]) -> UsageRow:
        kind, provider, model = key
        amounts, cost = self._services[key]
        return UsageRow(
            session_id=self._session_id,
            kind=kind,
            provider=provider,
            model=model,
            amounts=asdict(amounts),
            cost=cost,
        )


def session_usage(rows: Iterable[UsageRow], currency: str) -> SessionUsage:
    """Show what a session has consumed."""
    services = [_service(row) for row in sorted(rows, key=lambda row: (row.kind, row.provider))]
    return SessionUsage(
        currency=currency,
        cost=round(sum(service.cost or 0.0 for service in services), COST_DIGITS),
        unpriced=[f"{it.kind}: {it.provider}/{it.model}" for it in services if it.cost is None],
        services=services,
    )


def _service(row: UsageRow) -> ServiceUsage:
    amounts: dict[str, Any] = row.amounts
    cost = None if row.cost is None else round(row.cost, COST_DIGITS)
    whole = {**amounts, "audio_secs": round(amounts["audio_secs"], 3)}
    return ServiceUsage(kind=row.kind, provider=row.provider, model=row.model, cost=cost, **whole)
