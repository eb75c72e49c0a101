"""What became of one write, from the server's answer and from what stands there afterwards. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from crmsync.connectors.contract import (
    Deferred,
    Done,
    Gone,
    Hidden,
    Outcome,
    Record,
    Ref,
    Refused,
    Stale,
    Unreadable,
)
from crmsync.connectors.dav.reading import Found


@dataclass(frozen=True, slots=True)
class Put:
    id: str
    text: str
    expected: str  # empty: a new item
    meant: Found | None = None  # what ``text`` says, where that is known without reading it

    @property
    def uid(self) -> str:
        return self.meant.uid if isinstance(self.meant, Record) else ""


@dataclass(frozen=True, slots=True)
class Erase:
    id: str
    expected: str


Step: TypeAlias = Put | Erase


@dataclass(frozen=True, slots=True)
class Sent:
    """The server's answer to one PUT or DELETE."""

    status: int
    etag: str = ""
    conditions: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """(A 207 to a DELETE says that something was not deleted, RFC 4918 9.6.1.)"""
        return self.status // 100 == 2 and self.status != 207

    @property
    def doubtful(self) -> bool:
        """Whether only what stands there now says what happened: a precondition may fail because of our own earlier
        attempt, and a 500 may have been applied (Xandikos 0.4.10 stores an item that is not UTF-8 and answers 500)."""
        return self.status in (207, 409, 412) or (self.status >= 500 and self.status not in _REFUSED)


# Status or condition -> code and sentence of what no repetition will change.
_REFUSED: Mapping[int | str, tuple[str, str]] = {
    400: ("invalid", "the server does not accept this item"),
    403: ("forbidden", "this login may not write this item"),
    405: ("forbidden", "this collection does not take items"),
    413: ("too_large", "the item is too large for the server"),
    415: ("unsupported", "the server does not accept this format"),
    422: ("invalid", "the server does not accept this item"),
    507: ("quota", "there is no room left on the server"),
    "max-resource-size": ("too_large", "the item is too large for the server"),
    "no-uid-conflict": ("uid_taken", "another item of the collection has the same UID"),
    "valid-address-data": ("invalid", "the server does not accept this contact"),
    "supported-address-data": ("unsupported", "the server does not accept this vCard version"),
    "valid-calendar-data": ("invalid", "the server does not accept this event or task"),
    "valid-calendar-object-resource": ("invalid", "the server does not accept this event or task"),
    "supported-calendar-data": ("unsupported", "the server does not accept this format"),
    "supported-calendar-component": ("unsupported", "this calendar does not take items of this kind"),
    "quota-not-exceeded": ("quota", "there is no room left on the server"),
    "need-privileges": ("forbidden", "this login may not write this item"),
}
_PRECONDITION = (
    "the server refuses the change although nobody else made one ({status}); the item may be too large for it, "
    "or break one of its rules"
)


def judge_put(put: Put, sent: Sent, found: Found | None, meant: Found | None = None) -> Outcome:
    """``found``: what stands under the name now, None where nobody looked. ``meant``: what our text says, where that
    is not known by ``put``."""
    meant = put.meant or meant
    if sent.taken:
        return _taken(put, sent, found, meant)
    if sent.status == 423:
        return _locked(put.id)
    if (refused := _named(put.id, sent)) is not None:
        return refused
    if not sent.doubtful:
        return Stale(put.id) if sent.status in (404, 410) else _refused(put.id, sent)
    return _doubtful_update(put, sent, found, meant) if put.expected else _doubtful_create(put, sent, found)


def judge_erase(erase: Erase, sent: Sent, now: Ref | Gone | Hidden | None) -> Outcome:
    if sent.taken or sent.status in (404, 410):
        return Done(erase.id, "")
    if sent.status == 423:
        return _locked(erase.id)
    if not sent.doubtful:
        return _refused(erase.id, sent)
    match now:
        case Gone():
            return Done(erase.id, "")
        case Ref(version=version) if version != erase.expected:
            return Stale(erase.id)
        case Ref() if sent.status in (409, 412):
            return Refused(erase.id, "precondition", _PRECONDITION.format(status=sent.status))
        case _:
            return _failed(erase.id, sent)


def planned_erase(item: str, expected: str, now: Ref | Gone | Hidden) -> Erase | Outcome:
    """A delete after a look: If-Match is ignored on DELETE by servers that are in use."""
    match now:
        case Gone():
            return Done(item, "")
        case Hidden():
            return Refused(item, "forbidden", "the item cannot be seen with this login")
        case Ref(version=version):
            return Erase(item, expected) if version == expected != "" else Stale(item)


def _taken(put: Put, sent: Sent, found: Found | None, meant: Found | None) -> Outcome:
    """What was read back is only handed on as what the server made of *our* text if it is the version that the server
    named, or says the same. Otherwise somebody was quicker, and that is a change like any other."""
    if isinstance(found, Record) and (found.version == sent.etag or _same(found, meant)):
        return Done(put.id, found.version, found)
    return Done(put.id, sent.etag)


def _doubtful_update(put: Put, sent: Sent, found: Found | None, meant: Found | None) -> Outcome:
    match found:
        case Record() if found.version == put.expected:
            if sent.status >= 500:
                return _failed(put.id, sent)
            return Refused(put.id, "precondition", _PRECONDITION.format(status=sent.status))
        case Record() if sent.status >= 500 and _same(found, meant):
            return Done(put.id, found.version, found)
        case None | Hidden():
            return _failed(put.id, sent)
        case _:
            return Stale(put.id)


def _doubtful_create(put: Put, sent: Sent, found: Found | None) -> Outcome:
    match found:
        case Record() if found.uid == put.uid if put.uid else found.native == put.text:
            return Done(put.id, found.version, found, found=sent.status < 500)
        case Record() | Hidden() | Unreadable():
            return Refused(put.id, "name_taken", f"another item already stands under the name {put.id}")
        case _ if sent.status >= 500:
            return _failed(put.id, sent)
        case _:
            return Refused(put.id, "precondition", _PRECONDITION.format(status=sent.status))


def _same(found: Record, meant: Found | None) -> bool:
    return (
        isinstance(meant, Record)
        and found.columns == meant.columns
        and found.uid == meant.uid
        and found.stamp == meant.stamp
    )


def _named(item: str, sent: Sent) -> Refused | None:
    """A refusal that says why (RFC 4791 5.3.2.1, RFC 6352 6.3.2.1), whatever its status."""
    for condition in sent.conditions:
        known = _REFUSED.get(condition.rpartition("}")[2])
        if known is not None:
            return Refused(item, known[0], f"{known[1]} ({sent.status})")
    return None


def _refused(item: str, sent: Sent) -> Refused:
    code, sentence = _REFUSED.get(sent.status, (f"http_{sent.status}", "the server refuses it"))
    return Refused(item, code, f"{sentence} ({sent.status})")


def _locked(item: str) -> Deferred:
    return Deferred(item, "the item is locked on the server (423); it is tried again")


def _failed(item: str, sent: Sent) -> Deferred:
    return Deferred(item, f"the server failed ({sent.status}); it is tried again")
