"""What somebody wants of a session, and which bot that makes."""

from dataclasses import dataclass

from pipecat.runner.types import DialinSettings

from bots import providers
from bots.agents.factory import check_agent
from bots.config import BotChanges
from bots.errors import ServiceUnavailable
from bots.registry import Bot, load_bot, with_changes
from bots.settings import Settings
from runner.errors import InvalidRequest

AS_IT_IS = BotChanges()

OF_THOUGHT = ("instructions", "llm_model", "temperature", "max_tokens")
"""Changes of what thinks, which another process that thinks for a bot does not know."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a session.

    Attributes:
        user: Whose it is to be.
        transport: How the client will come; None for the way of the settings.
        bot_name: Who answers; None for the default bot.
        changes: What is different about the bot.
        phone: The phone call that it is for, at Daily; None if it is for none.
        is_here: Whether the client comes with it, and is told no token to come with later.
        by_phone: Whether somebody calls by phone, who is no user with a limit of their own.
    """

    user: str
    transport: str | None
    bot_name: str | None = None
    changes: BotChanges = AS_IT_IS
    phone: DialinSettings | None = None
    by_phone: bool = False
    is_here: bool = False


def changed_bot(settings: Settings, name: str, changes: BotChanges) -> Bot:
    """Load a bot that is different.

    Raises:
        UnknownBot: If there is no such bot.
        InvalidRequest: If it cannot be changed in such a way, or its agent cannot be made.
    """
    as_it_is = load_bot(name, settings)
    bot = with_changes(as_it_is, changes)
    voices = settings.voice.voice_profiles
    if changes.voice_profile not in (None, *voices):
        raise InvalidRequest(f"voice_profile is none of {sorted(voices)}")
    try:
        check_agent(bot, settings)
        # As it is, the rest of a bot was looked at when the service started.
        if changes.model_fields_set:
            providers.check_bot(bot, settings)
            _check_prices(as_it_is, bot, settings)
    except ServiceUnavailable as error:
        raise InvalidRequest(error.message) from error
    return bot


def _check_prices(as_it_is: Bot, bot: Bot, settings: Settings) -> None:
    """See whether a bot that is different goes by its budget as well as it did before.

    Raises:
        InvalidRequest: If it does not.
    """
    if not bot.budget_in(settings):
        return
    free = providers.without_price(bot, settings) - providers.without_price(as_it_is, settings)
    if free:
        raise InvalidRequest(f"{', '.join(sorted(free))}: has no price, and there is a budget")


def check_reach(bot: Bot, changes: BotChanges) -> None:
    """See whether what is wanted of one session gets to where the bot thinks.

    Raises:
        InvalidRequest: If it does not.
    """
    lost = [name for name in OF_THOUGHT if getattr(changes, name) is not None]
    if bot.remote and lost:
        raise InvalidRequest(
            f"{', '.join(lost)}: '{bot.remote}' thinks in another process, by its own settings"
        )
