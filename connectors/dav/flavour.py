"""What differs between CardDAV and CalDAV, as data."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from crmsync.connectors.contract import Kind
from crmsync.connectors.dav.item import Format


def nobody(before: str, after: str, ourselves: Set[str]) -> bool:
    """No server tells anybody of a change to such an item."""
    return False


def as_it_is(before: str, after: str) -> str:
    """There is nobody in it who could be told."""
    return after


@dataclass(frozen=True, slots=True)
class Flavour:
    name: str  # as the configuration's ``type`` has it
    thing: str  # what a person calls such a collection
    format: Format  # columns <-> text
    suffix: str  # of resource names
    content_type: str
    data: str  # property that carries an item's text (all names are Clark names)
    multiget: str
    query: str
    resource_type: str  # of its collections
    home: str  # property of a principal: where its collections are
    well_known: str  # path, RFC 6764 5
    kinds: Mapping[str, Kind]  # by iCalendar component; the key is empty where there are none
    # whether a server with scheduling would tell others that one text became the other (empty: none)
    announces: Callable[[str, str, Set[str]], bool] = nobody
    # the second text, so that a server with scheduling tells nobody of it who is not in the first
    muted: Callable[[str, str], str] = as_it_is
    addresses: str = ""  # property of a principal: how calendars name that person
