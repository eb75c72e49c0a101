"""Everything that is known of one item, and how it came to be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from crmsync.connectors.contract import Record, Side, Unreadable
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import rights
from crmsync.daemon.cycle.newcomers import left_in_crm, selected_in_crm
from crmsync.daemon.cycle.opening import open_crm
from crmsync.daemon.cycle.survey import left_alone, people_forgotten
from crmsync.daemon.operations.finding import NoSuchItem, Only, answering, open_ecs, rows_named, within
from crmsync.state.database import State
from crmsync.state.model import Action, Change, Conflict, Entry, Pair, PairState
from crmsync.state.snapshot import Snapshot, to_xml
from crmsync.state.values import encode, encode_columns

Found: TypeAlias = tuple[Context, Place, Record | Unreadable]


def explain(state: State, contexts: Sequence[Context], item: str, only: Only = None) -> dict[str, Any]:
    """Raises NoSuchItem. The servers are asked for the item as it is now; what they do not answer is None."""
    with state.reading() as tx:
        pairs = [p for p in tx.pairs.find(item) if within(only, p.account)]
        entries = tx.history.of_item([p.id for p in pairs]) if pairs else tx.history.find(item)
        entries = [e for e in entries if within(only, e.account)]
        rows = rows_named(tx, item, only)
        snapshot = tx.snapshots.get(pairs[0].id) if pairs else None
        conflicts = [c for p in pairs for c in tx.conflicts.of_pair(p.id)]
    pair, last = (pairs[0] if pairs else None), (entries[-1] if entries else None)
    account = pair.account if pair else last.account if last else next((r.account for r in rows), None)
    asked = sorted(contexts, key=lambda cx: cx.account.name != account)  # who knew it last, before all others
    found = _now([cx for cx in asked if pair is None or cx.account.name == account], pair, item)
    if pair is None and not entries and not rows and found is None:
        raise NoSuchItem(f"nothing is known as “{item}”, and no server of the configured accounts has it")
    cx, _, shown = found or (None, None, None)
    record = shown if isinstance(shown, Record) else None
    ecs = found if found and found[1].key in found[0].places else None
    decisions = _entries(entries)
    if found is not None and pair is None and (not entries or _is_back(entries)):
        decisions.append({"what": "look", "reason": _why_not(*found)})
    return {
        "item": pair.ecs_id if pair else ecs[2].id if ecs else (last and last.ecs_id) or item,
        "record": pair.crm_id if pair else shown.id if shown and not ecs else _record(item, last, rows),
        "account": cx.account.name if cx else account,
        "kind": _kind(pair or shown or last),
        "collection": pair.ecs_collection if pair else None,
        "linked": pair is not None and pair.state is PairState.LINKED,
        "reason": pair.reason if pair else None,
        "tagged": _tagged(*ecs) if ecs else None,
        "untouchable": record.untouchable if record else None,
        "synced": _text(snapshot.synced) if snapshot else None,
        "snapshot": encode_columns(snapshot.columns) if snapshot else None,
        "snapshot_xml": to_xml(snapshot).decode() if snapshot else None,
        "versions": _versions(pair, snapshot, ecs[2] if ecs else None),
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
        "decisions": decisions,
    }


def history(state: State, item: str, only: Only = None) -> list[dict[str, Any]]:
    """Field by field, oldest first. Raises NoSuchItem."""
    with state.reading() as tx:
        pairs = [p for p in tx.pairs.find(item) if within(only, p.account)]
        entries = {e.id: e for e in tx.history.find(item)}
        entries.update({e.id: e for e in tx.history.of_item([p.id for p in pairs])} if pairs else {})
    shown = [e for e in entries.values() if within(only, e.account)]
    if not shown and not pairs:
        raise NoSuchItem(f"nothing is known as “{item}”")
    return _entries(sorted(shown, key=lambda e: e.id))


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


def _now(contexts: Sequence[Context], pair: Pair | None, item: str) -> Found | None:
    """On the ECS side; what has no link may also be a record of the CRM."""
    for cx in contexts:
        open_ecs(cx)
        for place, answer in answering(cx, Side.ECS, pair.ecs_id if pair else item):
            if pair is None or place.key == pair.ecs_collection:
                return cx, place, answer
    records = [] if pair else [found for cx in contexts if (found := _in_crm(cx, item)) is not None]
    return next((found for found in records if _selects(*found)), records[0] if records else None)


def _selects(cx: Context, place: Place, shown: Record | Unreadable) -> bool:
    try:
        return isinstance(shown, Record) and bool(selected_in_crm(cx, place, [shown]))
    except ConnectorError as error:  # a condition that the CRM does not understand, for one
        cx.broke(f"“{place.label}”", error, place.login)
        return False


def _in_crm(cx: Context, item: str) -> Found | None:
    """As far as the account's own user may see it."""
    if not (cx.objects or open_crm(cx, copy=True)):
        return None
    for place, answer in answering(cx, Side.CRM, item):
        try:
            if isinstance(answer, Unreadable) or rights(cx, place, [answer.id])[0].read:
                return cx, place, answer
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
    return None


def _record(item: str, last: Entry | None, rows: Sequence[Change]) -> str | None:
    """Of what has no link, and no server shows at the moment: its last one; or the id that was asked for is one."""
    one = item if any(r.side is Side.CRM and r.item == item for r in rows) else None
    return (last and last.crm_id) or one


def _kind(known: Pair | Record | Unreadable | Entry | None) -> str | None:
    return known.kind.value if known is not None and known.kind is not None else None


def _tagged(cx: Context, place: Place, shown: Record | Unreadable) -> bool | None:
    """None: what cannot be read does not say."""
    return None if shown.tags is None else cx.account.selected(shown)


def _is_back(entries: Sequence[Entry]) -> bool:
    """It stands there again, or still, after the last that was done about it was a delete."""
    done = [e for e in entries if e.action != Action.DECIDE]
    return bool(done) and done[-1].action == Action.DELETE


def _why_not(cx: Context, place: Place, shown: Record | Unreadable) -> str:
    if isinstance(shown, Unreadable):
        return f"it cannot be read: {shown.reason}"
    ecs = place.key in cx.places
    if ecs and not cx.account.selected(shown):
        return f"it does not carry the tag “{cx.account.tag}”, so it is not exchanged"
    if not ecs and not _selects(cx, place, shown):
        return f"it has no item: `crm_select` of {cx.account.name}, “{cx.account.crm_select}”, leaves it out"
    with cx.state.reading() as tx:
        forgotten = people_forgotten(cx, tx, [shown])
        left = left_alone(cx, shown, forgotten) if ecs else left_in_crm(cx, shown, forgotten)
    return left or "selected, and not synced yet: the next sync looks at it"


def _versions(
    pair: Pair | None, snapshot: Snapshot | None, shown: Record | Unreadable | None
) -> dict[str, Any]:
    return {
        "ecs": pair.ecs_version if pair else None,
        "crm": pair.crm_version if pair else None,
        "ecs_now": shown.version if shown else None,
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
