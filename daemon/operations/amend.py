"""Edit and retry: what the CRM has refused is corrected where it comes from, on the ECS side, and tried again.

The edit is one like any other: it goes into the person's own item, on the version that they saw, and the next sync
carries it on. History has it column by column, with who made it; ``undo`` of its cycle takes it back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmsync.connectors.columns import Type, with_group
from crmsync.connectors.contract import Columns, Record, Side, Update, Value
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.work import rules_of
from crmsync.daemon.operations.finding import NoSuchItem, open_ecs, rows_named
from crmsync.daemon.operations.noting import Who
from crmsync.state.database import State
from crmsync.state.model import PERSON, Action, Change, Entry, Pair, QueueState
from crmsync.state.values import decode, encode, type_of


@dataclass(frozen=True, slots=True)
class Refused:
    """A write to the CRM that was refused, and the item that it came from, as it is now."""

    cx: Context
    place: Place
    record: Record
    row: Change
    pair: Pair | None

    @property
    def columns(self) -> list[str]:
        """That may be edited here: those that go to the CRM, and that its place can hold."""
        kind, capabilities = self.record.kind, self.place.connector.capabilities
        fixed = capabilities.read_only_columns.get(kind, frozenset()) | capabilities.once_columns.get(
            kind, frozenset()
        )
        rules = rules_of(self.cx, kind)
        return [
            name
            for name in rules
            if rules[name].direction.allows(Side.CRM)
            and name in capabilities.columns.get(kind, frozenset()) - fixed
            and type_of(kind, name) is not Type.LIST
        ]


def shown(state: State, contexts: Sequence[Context], item: str, who: Who) -> dict[str, Any]:
    """For the form. Raises NoSuchItem, ConnectorError."""
    found = _found(state, contexts, item, who)
    kind = found.record.kind
    return {
        "item": found.record.id,
        "collection": found.place.key,
        "account": found.row.account,
        "kind": kind.value,
        "version": found.record.version,
        "error": found.row.error,
        "columns": [
            {
                "column": name,
                "value": encode(found.record.columns.get(name)),
                "long": type_of(kind, name) is Type.LONG,
            }
            for name in found.columns
        ],
    }


def amend(
    state: State,
    contexts: Sequence[Context],
    item: str,
    version: str,
    changes: Mapping[str, str],
    who: Who,
) -> dict[str, Any]:
    """``version``: of the item, as the form had it; ``changes``: column -> value, as text. Raises NoSuchItem,
    ConnectorError, Locked."""
    found = _found(state, contexts, item, who)
    if found.record.version != version:
        raise NoSuchItem("somebody has changed the item meanwhile: open the form again")
    new = _changed(found, changes)
    if not new:
        raise NoSuchItem("nothing was changed: try again as it is, or give the change up")
    cx, record = found.cx, found.record
    whole = {n: new.get(n, record.columns.get(n)) for n in with_group(record.kind, frozenset(new))}
    known = {n: v for n, v in whole.items() if n in record.columns or n in new}
    write = Update(record.id, record.version, record.kind, known)
    # of no pair: if its answer is lost, the next cycle must not take what stands there for a write of its own
    task = Task(found.place, Side.ECS, write, record.id, record.kind, "edited by a person")
    with state.lock(cx.account.name):
        carry_out(cx, [task])
        if task.done is None:
            with state.transaction() as tx:
                tx.intents.close(_own(task))
            reason = getattr(
                task.outcome, "reason", "the item changed meanwhile, or its server did not answer"
            )
            raise NoSuchItem(f"not written: {reason}")
        _note(state, found, task, new, who)
    return {"item": record.id, "account": cx.account.name, "columns": sorted(new), "cycle": cx.cycle}


def _note(state: State, found: Refused, task: Task, new: Columns, who: Who) -> None:
    """The row is due again; the version that was written is not noted as ours, so that it is taken for an edit."""
    cx, pair, cycle = found.cx, found.pair, found.cx.cycle
    lines = [
        Entry(
            cycle=cycle,
            account=cx.account.name,
            pair_id=pair.id if pair else None,
            kind=found.record.kind,
            ecs_collection=found.place.key,
            ecs_id=found.record.id,
            crm_collection=pair.crm_collection if pair else "",
            crm_id=pair.crm_id if pair else "",
            at=who.now,
            side=Side.ECS,
            action=Action.UPDATE,
            column=name,
            old=found.record.columns.get(name),
            new=value,
            winner=PERSON,
            reason=f"{who.by or 'a person'}: edited, because the CRM refused it",
        )
        for name, value in new.items()
    ]
    with state.transaction() as tx:
        tx.intents.close(_own(task))
        tx.history.add(lines)
        tx.queue.retry(ids=[found.row.id])
        tx.cycles.finish(cycle, cx.now(), {"updated": 1}, cx.errors)


def _own(task: Task) -> list[int]:
    """Its intent. One that was announced for the item before is a sync's, and what became of that is still looked
    for."""
    return task.intents[-1:]


def _changed(found: Refused, changes: Mapping[str, str]) -> dict[str, Value]:
    allowed, new = frozenset(found.columns), {}
    for name, text in changes.items():
        if name not in allowed:
            raise NoSuchItem(f"{name} cannot be edited here")
        before = found.record.columns.get(name)
        if (encode(before) or "") == text:
            continue
        try:
            new[name] = decode(type_of(found.record.kind, name), text or None)
        except ValueError as error:
            raise NoSuchItem(f"what is given is no value for {name}") from error
    return new


def _found(state: State, contexts: Sequence[Context], item: str, who: Who) -> Refused:
    with state.reading() as tx:
        rows = [r for r in rows_named(tx, item, who.only) if r.state is QueueState.PARKED]
        row = next((r for r in rows if r.side is Side.ECS and not r.gone), None)
        pairs = tx.pairs.by_ecs(row.account, row.collection, [row.item]) if row is not None else {}
    if row is None:
        raise NoSuchItem(
            f"nothing that the CRM refused is known as “{item}”: what it sent itself is corrected there, and then "
            "tried again"
        )
    cx = next((c for c in contexts if c.account.name == row.account), None)
    if cx is None:
        raise NoSuchItem(f"the account {row.account} is not in the configuration any more")
    open_ecs(cx)
    place = cx.places.get(row.collection)
    answer = fetch(cx, place, [row.item]).get(row.item) if place is not None else None
    if place is None or not isinstance(answer, Record) or cx.account.masks(answer):
        raise NoSuchItem(f"“{item}” cannot be read at the moment, or is no longer there")
    return Refused(cx, place, answer, row, pairs.get(row.item))
