"""Phone providers, whose media streams come to this service."""

from base64 import b64decode
from typing import Annotated, Literal, get_args

from pydantic import Field, SecretStr, field_validator

from bots.config.section import Section
from bots.config.service import Callee

PhoneProvider = Literal["twilio", "telnyx", "plivo", "exotel"]

PHONE_PROVIDERS: tuple[PhoneProvider, ...] = get_args(PhoneProvider)

ED25519_KEY_BYTES = 32


class TwilioConfig(Section):
    """Phone calls that Twilio takes.

    Attributes:
        account_sid: Names the account.
        auth_token: Its password. Twilio signs with it what it sends.
        api_url: Where Twilio's REST API is.
        transfer_to: Who takes the calls of those who want to talk to a person: a SIP address, or a
            phone number in E.164; None for nobody.
        missing_env: Environment variables that the section names and that are not set.
    """

    account_sid: str
    auth_token: SecretStr
    api_url: str = "https://api.twilio.com"
    transfer_to: Callee | None = None
    missing_env: tuple[str, ...] = ()


class TelnyxConfig(Section):
    """Phone calls that Telnyx takes.

    Attributes:
        api_key: Of the account.
        public_key: What Telnyx signs with, as its portal shows it.
        api_url: Where Telnyx's REST API is.
        missing_env: Environment variables that the section names and that are not set.
    """

    api_key: SecretStr
    public_key: str
    api_url: str = "https://api.telnyx.com/v2"
    missing_env: tuple[str, ...] = ()

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, key: str) -> str:
        try:
            is_a_key = len(b64decode(key, validate=True)) == ED25519_KEY_BYTES
        except ValueError:
            is_a_key = False
        if key and not is_a_key:
            raise ValueError(f"expected {ED25519_KEY_BYTES} bytes in Base64")
        return key


class PlivoConfig(Section):
    """Phone calls that Plivo takes.

    Attributes:
        auth_id: Names the account.
        auth_token: Its password. Plivo signs with it what it sends.
        api_url: Where Plivo's REST API is.
        missing_env: Environment variables that the section names and that are not set.
    """

    auth_id: str
    auth_token: SecretStr
    api_url: str = "https://api.plivo.com/v1"
    missing_env: tuple[str, ...] = ()


class ExotelConfig(Section):
    """Phone calls that Exotel takes, which signs nothing.

    Attributes:
        secret: Stands in the address that Exotel asks: nobody else knows it.
        missing_env: Environment variables that the section names and that are not set.
    """

    secret: SecretStr
    missing_env: tuple[str, ...] = ()


class TelephonyConfig(Section):
    """Phone calls whose media streams come here, from providers that there are keys for.

    Attributes:
        public_url: Where providers reach this service, without a path: they sign the address that
            they call, which a proxy may have changed. None takes no calls.
        twilio: None for none of its calls; so are the others.
        telnyx: The same.
        plivo: The same.
        exotel: The same.
    """

    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#]+/?$")] | None = None
    twilio: TwilioConfig | None = None
    telnyx: TelnyxConfig | None = None
    plivo: PlivoConfig | None = None
    exotel: ExotelConfig | None = None

    @property
    def with_keys(self) -> tuple[PhoneProvider, ...]:
        """The providers whose keys are all set."""
        configs = ((name, getattr(self, name)) for name in PHONE_PROVIDERS)
        return tuple(name for name, config in configs if config and not config.missing_env)

    @property
    def providers(self) -> tuple[PhoneProvider, ...]:
        """The providers whose calls are taken."""
        return self.with_keys if self.public_url else ()
