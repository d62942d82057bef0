"""Who is asking: an API key or a JSON Web Token, or nobody where the service is open."""

import asyncio
import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from jwt import PyJWKClient, PyJWKClientConnectionError

from bots.config import JwtConfig
from bots.errors import ParlanteError
from bots.settings import Settings
from runner.errors import KeySetUnavailable, Unauthenticated
from runner.store import Store, open_store
from runner.tables import ApiKeyRow

KEY_PREFIX = "parlante"
"""What an API key begins with, so that scanners for secrets know one when they see it."""

SECRET_BYTES = 32
TRUST_SECS = 30.0
"""How long a key that was found right is not looked at again: a revoked one is of use so long."""

TRUSTED_KEYS = 1000
JWKS_SECS = 5.0
JWKS_PAUSE_SECS = 10.0
"""Until the public keys are asked for again because a token names one that is not among them."""

CLOCK_SKEW_SECS = 30

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What proxies and tunnels add to a request that they hand on."""

# A key is as long as its hash and cannot be guessed: the cost of hashing protects passwords, and
# would only take time from calls here.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)


class OpenToOthers(ParlanteError):
    """The service would let in anybody from anywhere."""

    code = "OPEN_TO_OTHERS"


@dataclass(frozen=True)
class Principal:
    """Who is asking.

    Attributes:
        user: Their name. Names of a token's users begin with `jwt:`, and so are none of a key's.
        is_operator: Whether they may see everybody's sessions, and stop the service.
    """

    user: str
    is_operator: bool = False

    def may_see(self, user: str) -> bool:
        """Say whether they may know of what is of a user."""
        return self.is_operator or self.user == user


LOCAL = Principal("local", is_operator=True)
"""Everybody, where the service is open, which it is to programs on the same machine only."""


def new_key(user: str, *, is_operator: bool) -> tuple[str, ApiKeyRow]:
    """Make an API key.

    Args:
        user: Whose it is.
        is_operator: Whether it opens everything.

    Returns:
        The key, to be shown once, and what is kept of it.
    """
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(SECRET_BYTES)
    row = ApiKeyRow(
        id=key_id,
        user_id=user,
        secret_hash=_HASHER.hash(secret),
        is_operator=is_operator,
        created_at=datetime.now(UTC),
        revoked_at=None,
    )
    return f"{KEY_PREFIX}_{key_id}_{secret}", row


async def check_exposure(settings: Settings) -> bool:
    """Say whether the service will be open to all who can reach it, before it is.

    Raises:
        OpenToOthers: If it would be, and other machines can reach it.
        DatabaseUnavailable: If the database cannot be reached.
    """
    async with open_store(settings) as store:
        gate = Gate(store, settings.server.jwt, may_be_open=True)
        is_open = await gate.is_open()
    if is_open and not is_loopback(settings.server.host):
        raise OpenToOthers(
            f"{settings.server.host} can be reached by other machines, and nobody has a key: make "
            "one with `python -m runner keys add NAME`, or listen on 127.0.0.1"
        )
    return is_open


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from its own machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def comes_from_here(headers: Mapping[str, str], allowed_origins: Collection[str]) -> bool:
    """Say whether a program, or a page, of this machine asks.

    Pages of elsewhere can have a browser send something to 127.0.0.1, and where a name of theirs
    leads there (DNS rebinding) read the answer; behind a proxy or a tunnel, anybody asks.

    Args:
        headers: Of the request.
        allowed_origins: Of pages of elsewhere that are welcome; `*` for all.
    """
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        origin = headers.get("origin")
        page = urlsplit(origin).hostname or "" if origin else None
    except ValueError:
        return False
    is_welcome = page is None or is_loopback(page) or bool({"*", origin} & {*allowed_origins})
    return is_welcome and is_loopback(host) and not any(name in headers for name in FORWARDED)


class Gate:
    """Lets requests in.

    Args:
        store: Where keys are kept.
        jwt_config: Which tokens are good; None for none.
        may_be_open: Whether requests need nothing as long as no key was ever made: only where no
            other machine can reach the service.
        own_key: Lets in whoever has started the service; None for none.
        allowed_origins: Of pages of elsewhere that are welcome where it is open; `*` for all.
    """

    def __init__(
        self,
        store: Store,
        jwt_config: JwtConfig | None,
        *,
        may_be_open: bool,
        own_key: str | None = None,
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._store = store
        self._may_be_open = may_be_open and jwt_config is None
        self._own_key = own_key
        self._allowed_origins = allowed_origins
        self._tokens = _Tokens(jwt_config) if jwt_config else None
        self._trusted: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._looking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def is_open(self) -> bool:
        """Say whether requests of this machine need nothing.

        Raises:
            DatabaseUnavailable: If the database cannot be reached.
        """
        return self._may_be_open and not await self._store.has_keys()

    async def is_open_to(self, headers: Mapping[str, str]) -> bool:
        """Say whether a request with these headers needs nothing.

        Raises:
            DatabaseUnavailable: If the database cannot be reached.
        """
        return comes_from_here(headers, self._allowed_origins) and await self.is_open()

    async def admit(
        self, api_key: str | None, bearer: str | None, headers: Mapping[str, str]
    ) -> Principal:
        """Say who is asking.

        Args:
            api_key: Of the header `X-API-Key`.
            bearer: Of the header `Authorization`; a key is good there as well.
            headers: All of the request's.

        Raises:
            Unauthenticated: If the service is not open, and neither is good.
            KeySetUnavailable: If the keys that tokens are signed with cannot be had.
            DatabaseUnavailable: If the database cannot be reached.
        """
        credential = api_key or bearer
        if credential is None:
            if await self.is_open_to(headers):
                return LOCAL
            raise Unauthenticated(
                "a key is needed: send it as X-API-Key; `python -m runner keys add NAME` makes one"
            )
        if self._own_key and secrets.compare_digest(credential.encode(), self._own_key.encode()):
            return LOCAL
        if credential.startswith(f"{KEY_PREFIX}_"):
            return await self._check_key(credential)
        if self._tokens and not api_key:
            return await self._tokens.check(credential)
        raise Unauthenticated("this is no key of this service: make one with `keys add`")

    async def _check_key(self, key: str) -> Principal:
        digest = hashlib.sha256(key.encode()).digest()
        # A crowd that comes with a key has it looked at once.
        async with self._looking.setdefault(digest, asyncio.Lock()):
            until, principal = self._trusted.get(digest, (0.0, None))
            if principal and time.monotonic() < until:
                return principal
            principal = await self._look_up(key)
            self._trusted[digest] = (time.monotonic() + TRUST_SECS, principal)
            if len(self._trusted) > TRUSTED_KEYS:
                self._trusted.popitem(last=False)
            return principal

    async def _look_up(self, key: str) -> Principal:
        _, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        row = await self._store.api_key(key_id)
        if not row or row.revoked_at or not await asyncio.to_thread(_matches, row, secret):
            raise Unauthenticated("this key is not, or no longer, good")
        return Principal(row.user_id, row.is_operator)


def _matches(row: ApiKeyRow, secret: str) -> bool:
    try:
        return _HASHER.verify(row.secret_hash, secret)
    except VerificationError:
        return False


class _Tokens:
    """Checks JSON Web Tokens."""

    def __init__(self, config: JwtConfig) -> None:
        self._config = config
        self._key_set: PyJWKClient | None = None
        if config.jwks_url:
            self._key_set = PyJWKClient(
                config.jwks_url, timeout=JWKS_SECS, cooldown_duration=JWKS_PAUSE_SECS
            )
        # One thread at most is to wait for an issuer who does not answer.
        self._checking = asyncio.Lock()

    async def check(self, token: str) -> Principal:
        """Say who a token is for.

        Raises:
            Unauthenticated: If it is not good.
            KeySetUnavailable: If the keys that tokens are signed with cannot be had.
        """
        try:
            async with self._checking:
                claims = await asyncio.to_thread(self._decode, token)
        except PyJWKClientConnectionError as error:
            raise KeySetUnavailable(
                "the keys that tokens are signed with cannot be had: please try again in a moment"
            ) from error
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"this token is not good: {error}") from error
        scopes = str(claims.get("scope", "")).split()
        return Principal(f"jwt:{claims['sub']}", self._config.operator_scope in scopes)

    def _decode(self, token: str) -> dict[str, Any]:
        config = self._config
        if self._key_set:
            key: Any = self._key_set.get_signing_key_from_jwt(token)
            algorithms = ["RS256", "ES256"]
        else:
            assert config.secret
            key, algorithms = config.secret.get_secret_value(), ["HS256"]
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=config.audience,
            issuer=config.issuer,
            leeway=CLOCK_SKEW_SECS,
            options={"require": ["exp", "sub"], "verify_aud": config.audience is not None},
        )
