"""A call as a task that stands for a phone call, and the item as it is stored. Pure."""

from collections.abc import Mapping
from dataclasses import astuple
from datetime import datetime
from typing import Any

from crmsync.connectors import plain
from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Record, Stamp, Value
from crmsync.connectors.telephony.call import Call, Disposition
from crmsync.connectors.telephony.contract import Direction

HELD = frozenset(COLUMNS[Kind.TASK]) - {"start", "percent_complete", "sensitivity", "reminder"}

_WORDS = {
    (Direction.INBOUND, True): "Call from {}",
    (Direction.INBOUND, False): "Missed call from {}",
    (Direction.OUTBOUND, True): "Call to {}",
    (Direction.OUTBOUND, False): "Tried to call {}",
}


def columns_of(call: Call, notes: str = "", person: str = "", record: str = "") -> dict[str, Value]:
    """Of a call that is over. ``person``: the other party's name, where it is known better than by the call itself;
    ``record``: the id of that person's record in the CRM."""
    answered = call.disposition is Disposition.ANSWERED
    party = person or call.name or call.number or "an unknown number"
    assert call.ended is not None
    return {
        "subject": _WORDS[call.direction, answered].format(party)[:255],
        "description": notes or None,
        "due": call.started.date(),
        "status": "completed",
        "completed_at": call.ended.replace(microsecond=0),
        "priority": "normal",
        "activity": "phone_call",
        "categories": None,
        "direction": "internal" if call.internal else call.direction.value,
        "number": call.number or None,
        "parties": (call.number,) if call.number else None,
        "started_at": call.started.replace(microsecond=0),
        "duration": call.duration,
        "disposition": call.disposition.value.replace("_", " ").capitalize(),
        "call_id": call.key[:255],
        "regarding": record or None,
    }


def content(
    columns: Columns, *, tags: frozenset[str], stamp: Stamp | None, uid: str, rest: Mapping[str, Any]
) -> dict[str, Any]:
    """``rest``: what belongs to no column."""
    return {
        "columns": plain.encode({n: v for n, v in columns.items() if n in HELD}),
        "tags": sorted(tags),
        "stamp": astuple(stamp) if stamp else None,
        "uid": uid,
        "rest": dict(rest),
    }


def columns_in(content: Mapping[str, Any]) -> dict[str, Value]:
    return {**dict.fromkeys(HELD), **plain.decode(content["columns"])}


def columns_going(content: Mapping[str, Any]) -> dict[str, Value]:
    """Of a call that is not over, as it is kept until then: as far as they say with whom it is."""
    call = content["call"]
    return {
        "subject": call["name"] or None,
        "description": content["notes"] or None,
        "number": call["number"] or None,
        "regarding": content["chosen"] or None,
    }


def record(id: str, version: str, content: Mapping[str, Any], modified: datetime, native: str) -> Record:
    return Record(
        id=id,
        version=version,
        kind=Kind.TASK,
        columns=columns_in(content),
        modified=modified,
        uid=content["uid"],
        tags=frozenset(content["tags"]),
        stamp=Stamp(*content["stamp"]) if content["stamp"] else None,
        native=native,
    )


def kept(columns: Columns) -> dict[str, Value]:
    """As they come back: JSON and SQLite keep everything but halves of surrogate pairs."""
    return {n: _kept(v) for n, v in columns.items() if n in HELD}


def _kept(value: Value) -> Value:
    match value:
        case str():
            return value.encode("utf-8", "ignore").decode() or None
        case tuple():
            return tuple(str(_kept(v) or "") for v in value) or None
        case _:
            return value
