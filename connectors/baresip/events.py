"""What baresip's messages mean (1.0.0; later versions name some events otherwise). Pure but for what it remembers."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crmsync.connectors.telephony.contract import (
    Answered,
    Cause,
    Direction,
    Ended,
    Event,
    Held,
    Offered,
    Resumed,
    Ringing,
)
from crmsync.connectors.telephony.numbers import party

_MOST = 64  # calls that are remembered
_LONGEST_ID = 256


class Reader:
    """Keeps in mind which calls were told of: the first that is heard of an outgoing call may be anything."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}  # id -> whether it rings here and was not answered yet

    def remember(self, id: str) -> None:
        self._known.setdefault(id, False)

    def events(self, message: Mapping[str, Any], at: datetime) -> Iterator[Event]:
        type_, id = message.get("type"), message.get("id")
        if message.get("event") is not True or message.get("class") != "call":
            return
        if not isinstance(type_, str) or not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
            return
        if id not in self._known:
            if type_ not in _TELLING:
                return
            self._make_room()
            offered = _offered(id, message, at)
            self._known[id] = offered.direction is Direction.INBOUND
            yield offered
        match type_:
            case "CALL_INCOMING" | "CALL_RINGING" | "CALL_PROGRESS":
                yield Ringing(id, at)
            case "CALL_ESTABLISHED":
                self._known[id] = False
                yield Answered(id, at)
            case "CALL_HOLD":
                yield Held(id, at)
            case "CALL_RESUME":
                yield Resumed(id, at)
            case "CALL_CLOSED":
                rings = self._known.pop(id, False)
                yield Ended(id, cause_of(_text(message, "param"), rings=rings), at)

    def _make_room(self) -> None:
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]


_TELLING = frozenset(
    {"CALL_INCOMING", "CALL_OUTGOING", "CALL_RINGING", "CALL_PROGRESS", "CALL_ESTABLISHED", "CALL_CLOSED"}
)


def _offered(id: str, message: Mapping[str, Any], at: datetime) -> Offered:
    direction = Direction.OUTBOUND if message.get("direction") == "outgoing" else Direction.INBOUND
    number = party(_text(message, "peeruri"))
    return Offered(id, id, direction, number, at, _text(message, "peerdisplayname"))


def _text(message: Mapping[str, Any], name: str) -> str:
    found = message.get(name)
    return found[:1000] if isinstance(found, str) else ""


_BY_CODE = {  # RFC 3261 section 21
    "486": Cause.BUSY,
    "600": Cause.BUSY,
    "603": Cause.REJECTED,
    "480": Cause.NO_ANSWER,
    "408": Cause.NO_ANSWER,
    "487": Cause.NORMAL,
    "404": Cause.UNREACHABLE,
    "410": Cause.UNREACHABLE,
    "484": Cause.UNREACHABLE,
    "604": Cause.UNREACHABLE,
}


def cause_of(reason: str, *, rings: bool) -> Cause:
    """``reason``: ``param`` of CALL_CLOSED: a SIP status and its words, or words of baresip's own. ``rings``: it was
    still ringing here."""
    code, _, words = reason.partition(" ")
    if code == "486" and words.strip().lower() == "rejected":
        return Cause.REJECTED  # what a baresip answers when its user hangs up before answering
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code.isdigit() and len(code) == 3:
        return Cause.FAILED
    return Cause.REJECTED if rings and reason == "Connection reset by user" else Cause.NORMAL
