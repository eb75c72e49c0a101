"""What a job does with its rows: 200 at a time through the store, a result for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from crmsync.daemon.crm_api.crm import Crm
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Outcome, Rejected
from crmsync.state.replica.metadata import fold

__all__ = ["AT_ONCE", "OPERATIONS", "Result", "outcome_of", "work_off"]

AT_ONCE = 200
OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete", "undelete"})


@dataclass(frozen=True, slots=True)
class Result:
    """Of one row; `error` is empty when it was written."""

    id: str
    created: bool
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def error(self) -> str:
        """`CODE:message:Field --`, as Bulk writes it."""
        return ";".join(f"{f.code}:{f.message}:{','.join(f.fields)} --" for f in self.faults)


def work_off(
    crm: Crm, caller: Caller, operation: str, name: str, key: str, rows: Iterator[Mapping[str, Any]]
) -> Iterator[Result]:
    """Results in the order of the rows; `key` is the external id field of an upsert."""
    while some := list(islice(rows, AT_ONCE)):
        yield from map(outcome_of, _written(crm, caller, operation, name, key, some))


def _written(
    crm: Crm, caller: Caller, operation: str, name: str, key: str, rows: Sequence[Mapping[str, Any]]
) -> list[Outcome]:
    match operation:
        case "insert":
            return crm.store.create(caller, [(name, _without(row, "Id")) for row in rows])
        case "update":
            return crm.store.update(caller, [(name, _value(row, "Id") or "", row) for row in rows])
        case "upsert":
            return crm.store.upsert(
                caller, name, key, [(_value(row, key), _without(row, key)) for row in rows]
            )
        case "undelete":
            return crm.recycle_bin.undelete(caller, [_value(row, "Id") or "" for row in rows])
    ids = [_value(row, "Id") or "" for row in rows]
    outcomes = crm.store.delete(caller, ids, object_name=name)
    if operation == "hardDelete":
        gone = [each.id for each in outcomes if not isinstance(each, Rejected)]
        crm.recycle_bin.empty(caller, gone)
    return outcomes


def outcome_of(outcome: Outcome) -> Result:
    if isinstance(outcome, Rejected):
        return Result(outcome.id or "", False, outcome.faults)
    return Result(outcome.id, outcome.created)


def _value(row: Mapping[str, Any], name: str) -> Any:
    return next((value for each, value in row.items() if fold(each) == fold(name)), None)


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in row.items() if fold(each) != fold(name)}
