"""One item as the memory server stores it, and its text form (what a vCard is to a CardDAV server)."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from crmsync.connectors import plain
from crmsync.connectors.contract import Columns, Kind, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: str
    collection: str
    kind: Kind
    uid: str
    columns: Columns
    rest: Mapping[str, str] = field(default_factory=dict)  # what no column covers, and every write must keep
    tags: frozenset[str] = frozenset()
    stamp: Stamp | None = None
    link: str = ""  # value of the external-id field
    owner: str = ""
    private: bool = False
    untouchable: str = ""
    series: str = ""  # of which it is one date
    broken: str = ""  # which rule of the format it breaks
    hidden: bool = False  # not visible to any login
    creator: str = ""  # the login that made it; empty: a person
    created: datetime
    modified: datetime
    serial: int  # of its last change; grows over the whole server

    @property
    def version(self) -> str:
        return f"v{self.serial}"


@dataclass(frozen=True, slots=True)
class Grave:
    """What is remembered of a deleted item."""

    id: str
    serial: int
    survivor: str = ""  # the item it was merged into
    owner: str = ""  # whose it was


def serial_of(version: str) -> int:
    return int(version.removeprefix("v"))


def dump(item: Item) -> str:
    """The item's content as text. What the server keeps beside it (id, owner, times) is not in it."""
    content = {
        "kind": item.kind.value,
        "uid": item.uid,
        "columns": plain.encode(item.columns),
        "rest": dict(item.rest),
        "tags": sorted(item.tags),
        "stamp": astuple(item.stamp) if item.stamp else None,
        "private": item.private,
        "untouchable": item.untouchable,
    }
    return json.dumps(content, ensure_ascii=False)


def load(text: str) -> dict[str, Any]:
    """The fields of an ``Item`` that ``dump`` wrote. Raises ValueError when it is not such a text."""
    content = json.loads(text)
    return {
        **content,
        "kind": Kind(content["kind"]),
        "columns": plain.decode(content["columns"]),
        "tags": frozenset(content["tags"]),
        "stamp": Stamp(*content["stamp"]) if content["stamp"] else None,
    }
