"""Whom a server that does scheduling (RFC 6638) would tell of a write.

Such a server sends invitations, updates and cancellations by itself when an organiser stores or deletes a meeting, and
answers when an attendee does. Nothing in a PUT says "not this time": SCHEDULE-AGENT=CLIENT would stay on the item, and
keep the person's own changes from being sent as well. So a write that would be told of is not made.
"""

from collections.abc import Set

from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component, parse
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import Editor

_AGENT = "SCHEDULE-AGENT"
_NOT_BY_THE_SERVER = frozenset({"CLIENT", "NONE"})  # SCHEDULE-AGENT, RFC 6638 7.1


def announces(before: str, after: str, ourselves: Set[str]) -> bool:
    """``before``, ``after``: the object; empty where there is none. ``ourselves``: the person's addresses, in lower
    case; none: whoever is the organiser may be us."""
    if before == after or "ATTENDEE" not in (before + after).upper():
        return False
    events = [each for text in (before, after) for each in _items(text)]
    if any(_organises(each, ourselves) and _invites(each) for each in events):
        return True
    # to an attendee's answer belongs that they are out of one instance; a delete is told not to be answered
    return bool(after) and _leaves(after) > _leaves(before) and any(_answers(each) for each in events)


def muted(before: str, after: str) -> str:
    """``after``, where nobody is told by the server who is not in ``before``: whoever comes from the CRM was invited
    there, or was not; the person's own client does it, should it be meant (SCHEDULE-AGENT=CLIENT, RFC 6638 7.1)."""
    if before == after or "ATTENDEE" not in after.upper():
        return after
    known = {_address(person) for item in _items(before) for person in item.all("ATTENDEE")}
    try:
        document = parse(after)
    except Malformed:
        return after
    for root in document.components:
        for item in root.components:
            edit = Editor(document, item)
            for person in list(item.all("ATTENDEE")):
                if _address(person) not in known and not _by_client(person):
                    edit.rewrite(person, person.value, drop=(_AGENT,), add=f";{_AGENT}=CLIENT")
    return document.text


def _items(text: str) -> list[Component]:
    try:
        roots = parse(text).components if text else []
    except Malformed:
        return []
    return [each for root in roots for each in root.components if each.name in ("VEVENT", "VTODO")]


def _organises(item: Component, ourselves: Set[str]) -> bool:
    organizer = item.first("ORGANIZER")
    return organizer is not None and (not ourselves or _address(organizer) in ourselves)


def _invites(item: Component) -> bool:
    """Whether anybody but the organiser is told by the server."""
    organizer = item.first("ORGANIZER")
    host = _address(organizer) if organizer else ""
    return any(_address(each) != host and not _by_client(each) for each in item.all("ATTENDEE"))


def _answers(item: Component) -> bool:
    organizer = item.first("ORGANIZER")
    return organizer is not None and not _by_client(organizer)


def _leaves(text: str) -> int:
    return sum(len(each.value.split(",")) for item in _items(text) for each in item.all("EXDATE"))


def _by_client(person: Line) -> bool:
    return person.parameter(_AGENT).upper() in _NOT_BY_THE_SERVER


def _address(person: Line) -> str:
    return person.value.strip().lower().removeprefix("mailto:")
