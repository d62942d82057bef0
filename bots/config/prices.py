"""What services cost."""

from typing import Annotated

from pydantic import Field

from bots.config.section import Section
from processors.usage import Amounts

Price = Annotated[float, Field(ge=0)]

MILLION = 1_000_000
MINUTE_SECS = 60


class ModelPrice(Section):
    """What a model costs. Where a price is not given, what it is for has none.

    Attributes:
        prompt: For a million tokens that it reads.
        cached: For a million of those that it had read before; None for the same.
        cache_write: For a million of those that it keeps for later; None for the same.
        completion: For a million tokens that it writes.
        audio_prompt: For a million tokens of sound that it hears.
        audio_cached: For a million of those that it had heard before; None for the same.
        audio_completion: For a million tokens of sound that it says.
        characters: For a million characters that it speaks.
        minute: For a minute of sound that it transcribes.
    """

    prompt: Price | None = None
    cached: Price | None = None
    cache_write: Price | None = None
    completion: Price | None = None
    audio_prompt: Price | None = None
    audio_cached: Price | None = None
    audio_completion: Price | None = None
    characters: Price | None = None
    minute: Price | None = None

    def cost(self, used: Amounts) -> float | None:
        """Return what something costs; None if a part of it has no price."""
        cached_text = used.cached_tokens - used.audio_cached_tokens
        fresh_sound = used.audio_prompt_tokens - used.audio_cached_tokens
        text = used.prompt_tokens - used.audio_prompt_tokens
        fresh_text = text - cached_text - used.cache_write_tokens
        parts = [
            (fresh_text / MILLION, self.prompt),
            (cached_text / MILLION, _first(self.cached, self.prompt)),
            (used.cache_write_tokens / MILLION, _first(self.cache_write, self.prompt)),
            (fresh_sound / MILLION, self.audio_prompt),
            (used.audio_cached_tokens / MILLION, _first(self.audio_cached, self.audio_prompt)),
            (
                (used.completion_tokens - used.audio_completion_tokens) / MILLION,
                self.completion,
            ),
            (used.audio_completion_tokens / MILLION, self.audio_completion),
            (used.characters / MILLION, self.characters),
            (used.audio_secs / MINUTE_SECS, self.minute),
        ]
        total = 0.0
        for amount, price in parts:
            if amount > 0 and price is None:
                return None
            total += max(0.0, amount) * (price or 0.0)
        return total


USED = {
    "stt": Amounts(audio_secs=1),
    "llm": Amounts(prompt_tokens=1, completion_tokens=1),
    "tts": Amounts(characters=1),
    "realtime": Amounts(
        prompt_tokens=2, audio_prompt_tokens=1, completion_tokens=2, audio_completion_tokens=1
    ),
}
"""What services consume, by what they are used for, each at least once."""


class PriceConfig(Section):
    """What the services of providers cost; those on this machine cost nothing.

    Attributes:
        currency: In which, for people.
        providers: By provider, by model; the model "*" stands for all that are not named.
    """

    currency: str = "USD"
    providers: dict[str, dict[str, ModelPrice]] = Field(default={})

    def has(self, kind: str, provider: str, model: str | None) -> bool:
        """Say whether a model has a price for what it is used for, or needs none.

        Args:
            kind: What it is used for: "stt", "llm", "tts" or "realtime".
            provider: Whose it is.
            model: Which; None where its provider decides that, of whose models one is to have one.
        """
        models = [model] if model else self.providers.get(provider) or [""]
        return any(self.cost(provider, it, USED[kind]) is not None for it in models)

    def cost(self, provider: str, model: str, used: Amounts) -> float | None:
        """Return what a service has cost; None if it has no price."""
        if price := self._of(provider, model):
            return price.cost(used)
        return 0.0 if provider == "local" else None

    def _of(self, provider: str, model: str) -> ModelPrice | None:
        prices = self.providers.get(provider, {})
        return prices.get(model) or prices.get("*")


def _first(own: float | None, other: float | None) -> float | None:
    return other if own is None else own
