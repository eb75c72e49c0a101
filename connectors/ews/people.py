"""Who has called a meeting, and who is asked to it: read, and never written.

Exchange tells whom a change of them concerns by mail of its own; and what an organiser changes without telling anybody
(we always say SendToNone) would stand in nobody's calendar but theirs.
"""

import re
from dataclasses import dataclass
from datetime import tzinfo

from crmsync.connectors.contract import Value
from crmsync.connectors.dav.values import ABSENT, Maybe
from crmsync.connectors.ews.properties import Properties, Property

PEOPLE = ("Organizer", "RequiredAttendees", "OptionalAttendees")
_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"^]{1,64}@[^\s@,;:<>()\[\]\\\"^]{1,189}")
_ANSWERS = {"Accept": "accepted", "Decline": "declined", "Tentative": "tentative"}
_WORDS = frozenset(_ANSWERS.values())


def _somebody(properties: Properties) -> dict[str, str]:
    """Answers of those who are asked, by address; rooms and other things are in a list of their own."""
    found: dict[str, str] = {}
    for name in PEOPLE[1:]:
        entries = properties.get(name)
        for entry in entries if isinstance(entries, tuple) else ():
            address, _, answer = entry.partition(" ")
            if plain := _plain(address):
                found.setdefault(plain, _ANSWERS.get(answer, ""))
    return found


def _plain(address: str) -> str:
    text = address.strip().lower()
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else ""


class _ReadOnly:
    def write(self, value: Value, zone: tzinfo) -> Property:
        raise AssertionError("nobody writes it")


@dataclass(frozen=True, slots=True)
class Organizer(_ReadOnly):
    """Exchange names one for every appointment; it is a meeting where somebody is asked to it."""

    name: str = PEOPLE[0]

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        told = properties.get(self.name)
        if not isinstance(told, tuple) or not any(isinstance(properties.get(n), tuple) for n in PEOPLE[1:]):
            return None
        return _plain(told[0].partition(" ")[0]) or ABSENT

    def project(self, value: Value) -> Maybe:
        return (_plain(value) or None) if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Attendees(_ReadOnly):
    name: str = PEOPLE[1]

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        found = _somebody(properties)
        return tuple(sorted(f"{address} {word}".rstrip() for address, word in found.items())) or None

    def project(self, value: Value) -> Maybe:
        found: dict[str, str] = {}
        for entry in value if isinstance(value, tuple) else ():
            address, _, word = entry.strip().partition(" ")
            if plain := _plain(address):
                found[plain] = word.strip() if word.strip() in _WORDS else ""
        return tuple(sorted(f"{address} {word}".rstrip() for address, word in found.items())) or None
