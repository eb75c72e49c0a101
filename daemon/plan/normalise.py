"""When two values say the same thing.

``tidy`` takes away what no person would call a difference (outer white space, line ends, an empty string against
nothing); it is used everywhere. ``alike`` goes further (upper and lower case, the spelling of a telephone number); it
is used only where two items meet for the first time.
"""

import re
import unicodedata
from datetime import date, datetime, timedelta
from functools import lru_cache

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Kind, Value

_SPACE = re.compile(r"\s+")
_DIGITS = re.compile(r"\d")


def tidy(value: Value) -> Value:
    """The value without what servers add or drop on their own; empty is None."""
    match value:
        case str():
            text = value if value.isascii() else unicodedata.normalize("NFC", value)
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            return text.strip() or None
        case tuple():
            return tuple(sorted({v.strip() for v in value} - {""})) or None
        case _:
            return value


def same(a: Value, b: Value) -> bool:
    return a == b or tidy(a) == tidy(b)


def alike(kind: Kind, column: str, a: Value, b: Value, region: str | None = None) -> bool:
    """Whether two values found on a first meeting agree after normalising (E.164, case, white space)."""
    if same(a, b):
        return True
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    if COLUMNS[kind][column].type is Type.PHONE:
        left, right = phone_key(a, region), phone_key(b, region)
        return bool(left) and left == right
    return text_key(a) == text_key(b)


def rewritten(kind: Kind, column: str, sent: Value, shown: Value) -> bool:
    """Whether ``shown`` can be what a server made of ``sent`` by itself: spelt otherwise, cut off, rounded. Anything
    else that stands there was written by someone."""
    if alike(kind, column, sent, shown):
        return True
    match sent, shown:
        case str(), str():
            key = text_key(shown)
            return bool(key) and text_key(sent).startswith(key)
        case tuple(), tuple():
            return {text_key(v) for v in sent} <= {text_key(v) for v in shown}
        case datetime(), datetime():
            return abs(sent - shown) < timedelta(minutes=1)
        case datetime(), date():
            return abs(sent.date() - shown) <= timedelta(days=1)
        case _:
            return False


def text_key(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


def email_key(address: str) -> str:
    """Addresses are compared without regard to case: no mail system in use tells them apart by it."""
    return unicodedata.normalize("NFKC", address).strip().casefold()


@lru_cache(maxsize=65536)
def phone_key(number: str, region: str | None = None) -> str:
    """E.164 (and the extension, if any) where the number can be read as one, else its digits; empty when there are too
    few to mean anything."""
    digits = "".join(_DIGITS.findall(number))
    if len(digits) < 5:
        return ""
    import phonenumbers  # 60 ms to import: only those who compare numbers pay for it

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return digits
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{number};ext={parsed.extension}" if parsed.extension else number
