"""Who has called a meeting, and who is asked to it (RFC 5545 3.8.4.1, 3.8.4.3): addresses in lower case, and answers.

Rooms and other things are nobody (CUTYPE, 3.2.3). Whoever has no address that we can read has no place in the column,
and stays in the object; so does all that is said of a person beside the answer.
"""

import re
from dataclasses import dataclass

from crmsync.connectors.columns import entry, member
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.contentline import Line, parameter
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import ABSENT, Maybe

_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"^]{1,64}@[^\s@,;:<>()\[\]\\\"^]{1,189}")
_SCHEME = "mailto:"
_THINGS = frozenset({"ROOM", "RESOURCE"})
_ANSWERS = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE"}
_WORDS = {token: word for word, token in _ANSWERS.items()}


def address_of(person: Line) -> str:
    """Empty: none that can be read. Where the value is something else, RFC 7986 6.2 has a place for the address."""
    for told in (person.value, person.parameter("EMAIL")):
        if found := plain(told):
            return found
    return ""


def plain(told: str) -> str:
    """An address in lower case; empty for anything else."""
    text = told.strip().lower().removeprefix(_SCHEME)
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else ""


@dataclass(frozen=True, slots=True)
class Organizer:
    """Nobody but the organiser's own client can say who it is: read, never written."""

    def read(self, component: Component) -> Maybe:
        found = component.first("ORGANIZER")
        if found is None or not found.value.strip():
            return None
        return address_of(found) or ABSENT

    def write(self, edit: Editor, value: Value) -> None:
        return

    def project(self, value: Value) -> Maybe:
        return (plain(value) or None) if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Attendees:
    """Whoever is new gets a line, who has gone loses it, and of the others only PARTSTAT is written."""

    def read(self, component: Component) -> Maybe:
        found: dict[str, str] = {}
        for each in component.all("ATTENDEE"):
            if address := _somebody(each):
                found.setdefault(address, _WORDS.get(each.parameter("PARTSTAT").upper(), ""))
        return tuple(sorted(entry(name, word) for name, word in found.items())) or None

    def write(self, edit: Editor, value: Value) -> None:
        wanted = dict(member(each) for each in value) if isinstance(value, tuple) else {}
        missing = dict(wanted)
        for each in list(edit.component.all("ATTENDEE")):
            address = _somebody(each)
            if not address:
                continue
            missing.pop(address, None)
            if address not in wanted:
                edit.remove(each)
            elif _WORDS.get(each.parameter("PARTSTAT").upper(), "") != wanted[address]:
                edit.rewrite(each, each.value, drop=("PARTSTAT",), add=_answer(wanted[address]))
        for address, word in missing.items():
            edit.add("ATTENDEE", _SCHEME + address, _answer(word))

    def project(self, value: Value) -> Maybe:
        given = (member(each) for each in value) if isinstance(value, tuple) else ()
        people = {address: word for name, word in given if (address := plain(name))}
        kept = (entry(a, w if w in _ANSWERS else "") for a, w in people.items())
        return tuple(sorted(kept)) or None


def _somebody(person: Line) -> str:
    return "" if person.parameter("CUTYPE").upper() in _THINGS else address_of(person)


def _answer(word: str) -> str:
    return parameter("PARTSTAT", _ANSWERS[word]) if word else ""
