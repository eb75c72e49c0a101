"""The cursor of a calendar whose series are shown by their occurrences: the calendar's own, and what was shown so far.

``series 1 <days ahead> <shown> <cursor>``; shown, deflated: for each series its id, the names of its occurrences that
have been told of, and when to look at it again. A daily series takes some 200 bytes.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from crmsync.connectors.errors import CursorExpired

_LARGEST = 64 * 1024 * 1024  # bytes, inflated


@dataclass(frozen=True, slots=True)
class Shown:
    """One series, as far as it has been told of."""

    names: frozenset[str]  # of its occurrences
    again: datetime | None  # when another one enters the window, at the earliest; None: there is none


@dataclass(frozen=True, slots=True)
class Mark:
    inner: str  # the calendar's own cursor
    ahead: int  # seconds; with another window everything is looked at again
    series: Mapping[str, Shown]


def encode(mark: Mark) -> str:
    rows = [[id, sorted(s.names), _seconds(s.again)] for id, s in sorted(mark.series.items())]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(text.encode(), 6)).decode() if rows else "-"
    return f"series 1 {mark.ahead} {packed} {mark.inner}"


def decode(cursor: str) -> Mark:
    """Raises CursorExpired for what another version of us has written."""
    try:
        word, number, ahead, packed, inner = cursor.split(" ", 4)
        if (word, number) != ("series", "1"):
            raise ValueError("another kind")
        rows = json.loads(_inflated(packed)) if packed != "-" else []
        series = {id: Shown(frozenset(names), _moment(again)) for id, names, again in rows}
        return Mark(inner, int(ahead), series)
    except (ValueError, TypeError, zlib.error) as error:
        raise CursorExpired("the stored cursor cannot be read; everything is listed again") from error


def _inflated(packed: str) -> str:
    inflate = zlib.decompressobj()
    data = inflate.decompress(base64.b64decode(packed, validate=True), _LARGEST)
    if not inflate.eof:
        raise ValueError("cut off, or too large")
    return data.decode()


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
