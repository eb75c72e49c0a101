"""What differs between CardDAV and CalDAV, as data."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from crmsync.connectors.contract import Kind
from crmsync.connectors.dav.item import Format


def nobody(before: str, after: str, ourselves: Set[str]) -> bool:
    """No server tells anybody of a change to such an item."""
    return False


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
