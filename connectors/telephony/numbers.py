"""Telephone numbers: E.164 where a number can be read as one, the extension or the name as it stands where not.
Pure."""

import re
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers

LONGEST = 64  # characters of what is kept of a number that is none
_SIP = re.compile(r"sips?:(?:([^@;?>]*)@)?([^;?>]*)", re.IGNORECASE)
TELLING = _SHORTEST = 7  # digits: what has fewer is an extension, or a service number of the house
_CODE = 5  # digits: a country's code with 00 before it
_FILLING = re.compile(r"[\s()./\-\u00a0\u2010-\u2015]+")


def party(address: str) -> str:
    """The user of a SIP address (RFC 3261 19.1.1), or the address as it stands."""
    found = _SIP.search(address)
    if found is None:
        return clean(address)
    user = (found[1] or "").partition(":")[0]  # user:password, of old
    return clean(unquote(user).partition(";")[0]) or clean(found[2])


def clean(text: str, longest: int = LONGEST) -> str:
    """On one line, of bounded length, without what no person types."""
    return "".join(c for c in text if c.isprintable())[:longest].strip()


@lru_cache(maxsize=4096)
def e164(text: str, region: str | None = None) -> str:
    """``+4930123456``; an extension's digits, or a name, as they stand. ``region``: where numbers without a country's
    code belong (ISO 3166), such as ``DE``."""
    plain = _FILLING.sub("", clean(text))
    digits = plain.removeprefix("+")
    if not (digits.isdigit() and digits.isascii()):
        return clean(text)
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if not plain.startswith("+") and (region is None or len(plain) < _SHORTEST):
        return plain
    try:
        parsed = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        return plain
    if not phonenumbers.is_possible_number(parsed):
        return plain
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_extension(number: str) -> bool:
    return number.isdigit() and len(number) < _SHORTEST


def dialled(text: str, region: str | None = None) -> str:
    """What may be dialled of a text that a page sent; empty where it is no number. Never an address: a page could have
    the telephone send anything to any host otherwise."""
    number = e164(text, region)
    return number if re.fullmatch(r"\+?[0-9*#]{1,20}", number) else ""


def national(number: str) -> str:
    """The digits that stand in every spelling: without the country's code, and the zero that takes its place."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return "".join(c for c in number if c.isdigit() and c.isascii())
    return str(parsed.national_number)


def is_number(stored: str, digits: str) -> bool:
    """Whether ``stored`` is a spelling of the number with these national digits: nothing but a country's code, and
    zeros, may come before; an extension has to be all of it."""
    plain = "".join(c for c in stored if c.isdigit() and c.isascii())
    if len(digits) < TELLING:
        return bool(digits) and plain == digits
    return plain.endswith(digits) and len(plain) - len(digits) <= _CODE


def is_same(one: str, other: str, region: str | None = None) -> bool:
    """Whether two spellings are one number: as E.164 where both can be read so, else by the digits that stand in
    both."""
    a, b = e164(one, region), e164(other, region)
    if a.startswith("+") and b.startswith("+"):
        return a == b
    return is_number(a, national(b)) or is_number(b, national(a))
