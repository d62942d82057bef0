"""`python -m runner keys add|list|revoke`: who may use the service."""

import asyncio
import re
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from bots.errors import ParlanteError
from bots.settings import Settings
from runner.auth import LOCAL, new_key
from runner.store import open_store
from runner.tables import ApiKeyRow

USER = re.compile(r"[\w.@-]{1,64}", re.ASCII)
"""No colon, which names of tokens' users have."""


class UserNotAllowed(ParlanteError):
    """There cannot be a user of that name."""

    code = "USER_NOT_ALLOWED"


class UnknownKey(ParlanteError):
    """There is no key of that name."""

    code = "UNKNOWN_KEY"


def add(settings: Settings, user: str, *, is_operator: bool) -> int:
    """Make a key and print it, which nothing will again.

    Args:
        settings: Where keys are kept.
        user: Whose it is.
        is_operator: Whether it opens the sessions of everybody.

    Returns:
        The exit code.

    Raises:
        UserNotAllowed: If there cannot be a user of that name.
        DatabaseUnavailable: If the database cannot be reached.
    """
    if not USER.fullmatch(user) or user == LOCAL.user:
        raise UserNotAllowed(
            f"'{user}' cannot be a user's name: use up to 64 letters, digits and any of .@_-, and "
            f"not '{LOCAL.user}', which is everybody while nobody has a key"
        )
    return asyncio.run(_add(settings, user, is_operator))


def show(settings: Settings) -> int:
    """List all keys.

    Returns:
        The exit code.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    return asyncio.run(_show(settings))


def revoke(settings: Settings, key_id: str) -> int:
    """Make a key good for nothing.

    Returns:
        The exit code.

    Raises:
        UnknownKey: If there is no such key.
        DatabaseUnavailable: If the database cannot be reached.
    """
    return asyncio.run(_revoke(settings, key_id))


async def _add(settings: Settings, user: str, is_operator: bool) -> int:
    key, row = new_key(user, is_operator=is_operator)
    async with open_store(settings) as store:
        await store.add(row)
    print(key)
    Console(stderr=True, style="dim").print(
        f"This is the only time that it is shown. {row.id} names it in the list."
    )
    return 0


async def _show(settings: Settings) -> int:
    table = Table("id", "user", "opens", "made", "revoked", box=None)
    async with open_store(settings) as store:
        for row in await store.api_keys():
            table.add_row(
                row.id,
                row.user_id,
                "everything" if row.is_operator else "their own",
                f"{row.created_at:%Y-%m-%d}",
                f"{row.revoked_at:%Y-%m-%d}" if row.revoked_at else "",
            )
    Console(highlight=False).print(table)
    return 0


async def _revoke(settings: Settings, key_id: str) -> int:
    async with open_store(settings) as store:
        if await store.api_key(key_id) is None:
            raise UnknownKey(f"there is no key '{key_id}': see `python -m runner keys list`")
        await store.save([ApiKeyRow(id=key_id, revoked_at=datetime.now(UTC))])
    print(f"{key_id} is revoked; a running service knows it within half a minute.")
    return 0
