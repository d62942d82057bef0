"""STUN and TURN servers as a session is given them, with credentials of its own."""

import base64
import hmac
from collections.abc import Iterable

from pydantic import BaseModel

from bots.config import IceServerConfig


class IceServer(BaseModel):
    """A STUN or TURN server, as browsers take it."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


def ice_servers(
    configured: Iterable[IceServerConfig], session_id: str, expires_at: int
) -> list[IceServer]:
    """Return the servers of the settings, with what opens them to one session.

    Args:
        configured: The servers.
        session_id: Whom the credentials are for; a TURN server has it in its log.
        expires_at: Until when they may be used, in seconds since 1970.
    """
    return [
        IceServer(urls=server.urls, username=server.username, credential=server.credential)
        if server.secret is None
        else _with_credential(server.urls, server.secret.get_secret_value(), session_id, expires_at)
        for server in configured
    ]


def _with_credential(
    urls: str | list[str], secret: str, session_id: str, expires_at: int
) -> IceServer:
    """Make a credential that the server can check without having heard of it.

    By "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest-00), which is what
    coturn has `use-auth-secret` for.
    """
    username = f"{expires_at}:{session_id}"
    digest = hmac.digest(secret.encode(), username.encode(), "sha1")
    return IceServer(urls=urls, username=username, credential=base64.b64encode(digest).decode())
