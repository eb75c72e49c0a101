"""Values between a content line and a column: text, dates, moments, durations. All pure, all bounded."""

import re
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Final, Literal, TypeAlias

from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.contentline import Line, unescape
from crmsync.connectors.dav.item import MAX_TEXT, Malformed


class Absent(Enum):
    ABSENT = "absent"  # no opinion: the line says something that the column has no word for


ABSENT: Final = Absent.ABSENT
Maybe: TypeAlias = Value | Literal[Absent.ABSENT]

# Forbidden in content lines (RFC 5545 3.1: CONTROL) but for the line break, which ``\n`` stands for.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_BREAK = re.compile("\r\n?|[\x85\u2028\u2029]")
# What XML 1.0 (snapshots, multistatus bodies) has no way to hold.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile(r"\n+")

_DATE = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)", re.ASCII)
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(\d\d)([Zz]?)", re.ASCII)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,10})S)?)?",
    re.ASCII | re.I,
)


def clean(text: str, kind: Type = Type.LONG) -> str | None:
    """``text`` as a column of this type holds it and a line can carry it; None when nothing is left of it."""
    if text.isprintable() and len(text) <= MAX_TEXT:  # the short way for nearly all of them
        text = text if kind is Type.LONG else text.strip()
        return text if text and not text.isspace() else None
    text = _UNSTORABLE.sub("", _LINE_BREAK.sub("\n", text))[:MAX_TEXT]
    if kind is not Type.LONG:
        # the spaces beside a line break are not for a pattern: it would look at a long run of them once from each
        text = " ".join(line.strip(" ") for line in _BREAKS.split(text)).strip()
    return text if text.strip() else None


def text_of(line: Line, kind: Type = Type.LONG) -> str | None:
    """Text of a TEXT line. Raises Malformed when it is too long or holds what no line may hold."""
    return checked(unescape(line.text_value), line.name, kind)


def checked(text: str, name: str, kind: Type = Type.LONG) -> str | None:
    """``clean``, of what a server sent: raises Malformed, naming the property, instead of repairing it."""
    if not text:
        return None
    if len(text) > MAX_TEXT:
        raise Malformed(
            f"its {name} has {len(text)} characters, more than the {MAX_TEXT} that are let through"
        )
    if not text.isprintable() and (found := _CONTROL.search(text)):
        raise Malformed(
            f"its {name} holds the control character 0x{ord(found[0]):02X} (RFC 5545 3.1, RFC 6350 3.2)"
        )
    return clean(text, kind)


def plain_date(text: str) -> date | None:
    """``19850412`` or ``1985-04-12`` and nothing else: no partial dates, no time."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def plain_moment(text: str) -> tuple[datetime, bool] | None:
    """DATE-TIME (RFC 5545 3.3.5): the naive wall clock time, and whether it is UTC. A leap second is the one before."""
    match = _MOMENT.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        local = datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    except ValueError:
        return None
    return local.replace(tzinfo=None), bool(match[7])


def plain_duration(text: str) -> tuple[timedelta, timedelta] | None:
    """DURATION (RFC 5545 3.3.6): nominal days and exact time, to be added one after the other."""
    match = _DURATION.fullmatch(text)
    if not match or not any(match[i] for i in range(2, 7)):
        return None
    sign = -1 if match[1] == "-" else 1
    weeks, days, hours, minutes, seconds = (int(match[i] or 0) for i in range(2, 7))
    return sign * timedelta(days=7 * weeks + days), sign * timedelta(
        hours=hours, minutes=minutes, seconds=seconds
    )


def in_utc(moment: datetime) -> datetime:
    """Whole seconds, in UTC; a naive time is UTC already (the contract allows aware ones only)."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.replace(microsecond=0, tzinfo=UTC, fold=0)


def format_date(day: date, *, dashes: bool = False) -> str:
    mark = "-" if dashes else ""
    return f"{day.year:04}{mark}{day.month:02}{mark}{day.day:02}"


def format_moment(moment: datetime, *, dashes: bool = False) -> str:
    """Basic format; the Z only where the moment is aware, in which case it must be in UTC."""
    mark = ":" if dashes else ""
    end = "Z" if moment.tzinfo else ""
    clock = f"{moment.hour:02}{mark}{moment.minute:02}{mark}{moment.second:02}"
    return f"{format_date(moment, dashes=dashes)}T{clock}{end}"
