"""Everything that is known of one item, and how it came to be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.operations.finding import NoSuchItem, living, opened, rows_named
from crmsync.state.database import State
from crmsync.state.model import Conflict, Entry, Pair, PairState
from crmsync.state.snapshot import Snapshot, to_xml
from crmsync.state.values import encode, encode_columns


def explain(state: State, contexts: Sequence[Context], item: str) -> dict[str, Any]:
    """Raises NoSuchItem. The servers are asked for the item as it is now; what they do not answer is None."""
    with state.reading() as tx:
        pairs = tx.pairs.find(item)
        entries = _entries(tx.history.of_item([p.id for p in pairs]) if pairs else tx.history.find(item))
        rows = rows_named(tx, item)
        snapshot = tx.snapshots.get(pairs[0].id) if pairs else None
        conflicts = [c for p in pairs for c in tx.conflicts.of_pair(p.id)]
    pair = pairs[0] if pairs else None
    account = pair.account if pair else next((r.account for r in rows), None)
    mine = [cx for cx in contexts if account is None or cx.account.name == account]
    found = _now(mine, pair, item)
    if pair is None and not entries and not rows and found is None:
        raise NoSuchItem(f"nothing is known as “{item}”, and no server of the configured accounts has it")
    cx, record = found if found else (None, None)
    if record is not None and not entries and pair is None:
        entries = [{"what": "look", "reason": _why_not(cx, record)}]
    return {
        "item": pair.ecs_id if pair else (record.id if record else item),
        "record": pair.crm_id if pair else None,
        "account": pair.account if pair else (cx.account.name if cx else account),
        "kind": pair.kind.value if pair else (record.kind.value if record else None),
        "collection": pair.ecs_collection if pair else None,
        "linked": pair is not None and pair.state is PairState.LINKED,
        "reason": pair.reason if pair else None,
        "tagged": cx.account.selected(record) if cx and record else None,
        "untouchable": record.untouchable if record else None,
        "synced": _text(snapshot.synced) if snapshot else None,
        "snapshot": encode_columns(snapshot.columns) if snapshot else None,
        "snapshot_xml": to_xml(snapshot).decode() if snapshot else None,
        "versions": _versions(pair, snapshot, record),
        "queue": [
            {
                "side": r.side.value,
                "state": r.state.value,
                "attempts": r.attempts,
                "code": r.code,
                "error": r.error,
            }
            for r in rows
        ],
        "conflicts": [_conflict(c) for c in conflicts],
        "decisions": entries,
    }


def history(state: State, item: str) -> list[dict[str, Any]]:
    """Field by field, oldest first. Raises NoSuchItem."""
    with state.reading() as tx:
        pairs = tx.pairs.find(item)
        entries = {e.id: e for e in tx.history.find(item)}
        entries.update({e.id: e for e in tx.history.of_item([p.id for p in pairs])} if pairs else {})
    if not entries and not pairs:
        raise NoSuchItem(f"nothing is known as “{item}”")
    return _entries(sorted(entries.values(), key=lambda e: e.id))


def _entries(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [
        {
            "cycle": e.cycle,
            "at": _text(e.at),
            "account": e.account,
            "item": e.ecs_id,
            "record": e.crm_id,
            "side": e.side.value,
            "action": str(e.action),
            "column": e.column,
            "old": encode(e.old),
            "new": encode(e.new),
            "winner": e.winner,
            "reason": e.reason,
        }
        for e in entries
    ]


def _now(contexts: Sequence[Context], pair: Pair | None, item: str) -> tuple[Context, Record] | None:
    for cx in opened(contexts):
        for place, record in living(cx, Side.ECS, pair.ecs_id if pair else item):
            if pair is None or place.key == pair.ecs_collection:
                return cx, record
    return None


def _why_not(cx: Context | None, record: Record) -> str:
    if cx is None or cx.account.selected(record):
        return "selected, and not synced yet: the next sync looks at it"
    return f"it does not carry the tag “{cx.account.tag}”, so it is not exchanged"


def _versions(pair: Pair | None, snapshot: Snapshot | None, record: Record | None) -> dict[str, Any]:
    return {
        "ecs": pair.ecs_version if pair else None,
        "crm": pair.crm_version if pair else None,
        "ecs_now": record.version if record else None,
        "ecs_modified": _text(snapshot.ecs.modified) if snapshot else None,
        "crm_modified": _text(snapshot.crm.modified) if snapshot else None,
    }


def _conflict(c: Conflict) -> dict[str, Any]:
    return {
        "column": c.column,
        "base": encode(c.base),
        "ecs": encode(c.ecs),
        "crm": encode(c.crm),
        "winner": c.winner,
        "resolved": c.resolved,
        "cycle": c.cycle,
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
