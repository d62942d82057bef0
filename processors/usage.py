"""What the services of a call consume, in the units in which they are paid for."""

from dataclasses import dataclass, fields

_FOR = " for "


@dataclass(frozen=True)
class Amounts:
    """What was consumed.

    Attributes:
        prompt_tokens: What language models read, whatever else it is beside.
        cached_tokens: Of these, what they had read before.
        cache_write_tokens: Of these, what they kept for later, where that has a price of its own.
        audio_prompt_tokens: Of these, sound.
        audio_cached_tokens: Of `cached_tokens`, sound.
        completion_tokens: What they wrote or, speech to speech, said.
        audio_completion_tokens: Of these, sound.
        estimated_tokens: Of `prompt_tokens` and `completion_tokens`, those that no service told of:
            of summaries, and of answers that were cut off.
        characters: What voices spoke.
        audio_secs: What speech recognition heard, in seconds.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_cached_tokens: int = 0
    completion_tokens: int = 0
    audio_completion_tokens: int = 0
    estimated_tokens: int = 0
    characters: int = 0
    audio_secs: float = 0.0

    def __add__(self, other: "Amounts") -> "Amounts":
        """Return both together."""
        names = [field.name for field in fields(self)]
        return Amounts(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True)
class Used:
    """What one service has consumed for one piece of work.

    Attributes:
        kind: What it was for: "stt", "llm", "tts" or "realtime".
        provider: Whose service did it.
        model: Which model; "" where it has no name.
        amounts: How much.
        cost: What that costs; None where it has no price.
    """

    kind: str
    provider: str
    model: str
    amounts: Amounts
    cost: float | None


def whole_prompt(prompt: int, completion: int, total: int) -> int:
    """Return how many tokens were read, of which some providers leave out what was cached.

    Args:
        prompt: Tokens of the prompt, as they are told.
        completion: Tokens that were written.
        total: Of everything; 0 if it is not told.
    """
    return max(prompt, total - completion)


def on_behalf(provider: str, processor: str) -> str:
    """Return the name under which a processor tells what another one's service consumes for it.

    Args:
        provider: Whose service.
        processor: The name of the processor.
    """
    return f"{provider}{_FOR}{processor}"


def whose_behalf(name: str) -> tuple[str | None, str]:
    """Return the provider and the processor of such a name; no provider where it is plain."""
    provider, is_for, processor = name.partition(_FOR)
    return (provider, processor) if is_for else (None, name)
