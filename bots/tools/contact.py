"""How somebody can be reached: phone numbers and mail addresses as they are spoken."""

import re

from bots.tools.desk import Refusal

FEWEST_DIGITS = 5
_SPOKEN = ((r"\s+at\s+", "@"), (r"\s+dot\s+", "."), (r"\s+(?:dash|hyphen)\s+", "-"))
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def digits(phone: str) -> str:
    """Return the digits of a phone number, all that tells two spellings of it apart."""
    return re.sub(r"\D", "", phone)


def contact_key(contact: str) -> str:
    """Return what is the same for all ways to write a mail address or a phone number.

    `Dana at Example dot com` is `dana@example.com`, and `(555) 0134` is `5550134`.

    Raises:
        Refusal: If it is neither (`contact_unclear`).
    """
    mail = contact.strip().casefold()
    for spoken, written in _SPOKEN:
        mail = re.sub(spoken, written, mail)
    if _MAIL.fullmatch(mail.replace(" ", "")):
        return mail.replace(" ", "")
    if len(number := digits(contact)) >= FEWEST_DIGITS:
        return number
    raise Refusal("contact_unclear", "Ask for a mail address, or a phone number with all digits.")
