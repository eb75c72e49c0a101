"""The spelling of literals: escapes in strings, dates and times."""

import datetime
import re

MAX_DIGITS = 64  # of a number; also keeps arithmetic on hostile input cheap

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:[uU]([0-9a-fA-F]{4})|(.))", re.DOTALL)
_MOMENT = re.compile(
    r"(?P<clock>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))",
    re.IGNORECASE,
)


def text(quoted: str) -> tuple[str, str]:
    """(value, LIKE pattern) of a string in its quotes; raises ValueError for an escape that SOQL does not have."""
    body = quoted[1:-1]
    if "\0" in body:
        raise ValueError("a string cannot hold the character U+0000")
    return _joined(_ESCAPE.sub(_value, body)), _joined(_ESCAPE.sub(_pattern, body))


def day(written: str) -> datetime.date:
    """`2024-01-02`; raises ValueError for a day that no calendar has."""
    return datetime.date.fromisoformat(written)


def moment(written: str) -> datetime.datetime:
    """`2024-01-02T03:04:05.000+01:00` in UTC; raises ValueError for a time that there is none."""
    match = _MOMENT.fullmatch(written)
    if match is None:
        raise ValueError(f"{written} is no date and time")
    clock = datetime.datetime.fromisoformat(match["clock"].upper())
    micros = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    offset = datetime.timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    if match["sign"] == "-":
        offset = -offset
    try:
        return clock.replace(microsecond=micros, tzinfo=datetime.UTC) - offset
    except OverflowError:
        raise ValueError(f"{written} is out of range") from None


def _value(match: re.Match[str]) -> str:
    if match[1]:
        return _character(match[1])
    if match[2] in "%_":
        return match[2]
    return _escaped(match[2])


def _pattern(match: re.Match[str]) -> str:
    if match[1]:
        return _character(match[1])
    if match[2] in "%_\\":
        return match[0]
    return _escaped(match[2])


def _character(digits: str) -> str:
    code = int(digits, 16)
    if code == 0:
        raise ValueError("a string cannot hold the character U+0000")
    return chr(code)


def _escaped(letter: str) -> str:
    plain = _ESCAPES.get(letter.lower())
    if plain is None:
        raise ValueError(f"invalid string escape: \\{letter}")
    return plain


def _joined(value: str) -> str:
    """Surrogate pairs written as two escapes become one character; half a pair is refused."""
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("a string cannot hold half of a surrogate pair") from None
