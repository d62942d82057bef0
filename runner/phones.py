"""Phone providers: whether it is they who tell of a call, and how they are told what to do."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import SecretStr

from bots.config import PhoneProvider, TelephonyConfig
from runner.rooms.daily import SIGNATURE_SECS

Pairs = Sequence[tuple[str, str]]
"""Parameters; a name may come several times."""


@dataclass(frozen=True)
class Webhook:
    """What somebody sends who says that there is a phone call.

    Attributes:
        url: As they have called it.
        headers: By their names in small letters.
        body: As it came.
        now: When it came, in seconds since 1970.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    now: float

    @property
    def query(self) -> Pairs:
        """The parameters in the address."""
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    @property
    def form(self) -> Pairs:
        """The parameters in the body."""
        return parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True)


@dataclass(frozen=True)
class Exchange:
    """How a provider tells of a call, and is answered.

    Attributes:
        method: Of its requests.
        call_id: The parameter that names the call.
        is_genuine: Says whether a webhook comes from the provider.
        media_type: Of answers.
        connect: Makes the answer that has the call's sound sent to an address.
        busy: The answer that nobody takes the call; None for an error, after which the provider
            goes on without the bot.
    """

    method: str
    call_id: str
    is_genuine: Callable[[Webhook, TelephonyConfig], bool]
    connect: Callable[[str], str]
    busy: str | None = None
    media_type: str = "application/xml"


def stream_url(config: TelephonyConfig, provider: str, token: str) -> str:
    """Return where the sound of a session's phone call comes to."""
    assert config.public_url
    base = config.public_url.rstrip("/").replace("http", "ws", 1)
    return f"{base}/ws/{provider}/{token}"


def is_signed_by_twilio(webhook: Webhook, auth_token: SecretStr) -> bool:
    """Look at `X-Twilio-Signature`: HMAC-SHA1 of the address and the sorted form, in Base64."""
    form = "".join(name + value for name, value in sorted(set(webhook.form)))
    given = webhook.headers.get("x-twilio-signature", "")
    wanted = [_hmac(auth_token, url + form, "sha1") for url in _forms(urlsplit(webhook.url))]
    return any(_is_same(given, signature) for signature in wanted)


def _forms(url: SplitResult) -> list[str]:
    """Return an address without and with its port: Twilio signs the one or the other."""
    port = url.port or (443 if url.scheme == "https" else 80)
    return [url._replace(netloc=f"{url.hostname}{end}").geturl() for end in ("", f":{port}")]


def is_signed_by_plivo(webhook: Webhook, auth_token: SecretStr) -> bool:
    """Look at `X-Plivo-Signature-V3`: HMAC-SHA256 of address, form and a nonce, in Base64.

    There is one for each of the account's tokens.
    """
    url = urlsplit(webhook.url)._replace(query="").geturl()
    query = "&".join(f"{name}={value}" for name, value in sorted(webhook.query))
    form = "".join(name + value for name, value in sorted(webhook.form))
    if query or form:
        url += f"?{query}"
    if query and form:
        url += "."
    nonce = webhook.headers.get("x-plivo-signature-v3-nonce", "")
    wanted = _hmac(auth_token, f"{url}{form}.{nonce}", "sha256")
    given = webhook.headers.get("x-plivo-signature-v3", "")
    return any(_is_same(signature, wanted) for signature in given.split(","))


def is_signed_by_telnyx(webhook: Webhook, public_key: str) -> bool:
    """Look at `telnyx-signature-ed25519`, which is of `telnyx-timestamp` and the body."""
    timestamp = webhook.headers.get("telnyx-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    try:
        signature = base64.b64decode(webhook.headers.get("telnyx-signature-ed25519", ""))
        key.verify(signature, timestamp.encode() + b"|" + webhook.body)
    except (ValueError, InvalidSignature):
        return False
    return abs(webhook.now - int(timestamp)) <= SIGNATURE_SECS


def has_secret(webhook: Webhook, secret: SecretStr) -> bool:
    """Look at `secret` in the address."""
    return _is_same(dict(webhook.query).get("secret", ""), secret.get_secret_value())


def _hmac(key: SecretStr, text: str, digest: str) -> str:
    code = hmac.digest(key.get_secret_value().encode(), text.encode(), digest)
    return base64.b64encode(code).decode()


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _is_of_twilio(webhook: Webhook, config: TelephonyConfig) -> bool:
    return config.twilio is not None and is_signed_by_twilio(webhook, config.twilio.auth_token)


def _is_of_telnyx(webhook: Webhook, config: TelephonyConfig) -> bool:
    return config.telnyx is not None and is_signed_by_telnyx(webhook, config.telnyx.public_key)


def _is_of_plivo(webhook: Webhook, config: TelephonyConfig) -> bool:
    return config.plivo is not None and is_signed_by_plivo(webhook, config.plivo.auth_token)


def _is_of_exotel(webhook: Webhook, config: TelephonyConfig) -> bool:
    return config.exotel is not None and has_secret(webhook, config.exotel.secret)


def _xml(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'


REJECT = _xml('<Reject reason="busy"/>')

EXCHANGES: Mapping[PhoneProvider, Exchange] = {
    "twilio": Exchange(
        "POST",
        "CallSid",
        _is_of_twilio,
        lambda url: _xml(f"<Connect><Stream url={quoteattr(url)}/></Connect>"),
        busy=REJECT,
    ),
    "telnyx": Exchange(
        "POST",
        "CallSid",
        _is_of_telnyx,
        lambda url: _xml(
            f'<Connect><Stream url={quoteattr(url)} codec="PCMU" bidirectionalMode="rtp" '
            'bidirectionalCodec="PCMU"/></Connect>'
        ),
        busy=REJECT,
    ),
    "plivo": Exchange(
        "POST",
        "CallUUID",
        _is_of_plivo,
        lambda url: _xml(
            '<Stream bidirectional="true" keepCallAlive="true" '
            f'contentType="audio/x-mulaw;rate=8000">{escape(url)}</Stream>'
        ),
        busy=_xml('<Hangup reason="busy"/>'),
    ),
    "exotel": Exchange(
        "GET",
        "CallSid",
        _is_of_exotel,
        lambda url: json.dumps({"url": url}),
        media_type="application/json",
    ),
}
