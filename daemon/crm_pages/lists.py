"""SOQL for a page of a list. Pure.

A page begins after a row, not after a number of rows: OFFSET ends at 2,000 in the CRM, and costs more with every page.
Empty values come last in both directions, and the id decides among equal ones, in the list's direction: an index is
read from one end or from the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crmsync.daemon.crm_pages.desk import quoted
from crmsync.daemon.crm_pages.shapes import Field, Shape

__all__ = ["Edge", "Wanted", "counted", "edge_of", "soql"]

SIZE = 50
VIEWS = ("owned", "recent", "all")
_PLAIN = frozenset({"date", "datetime", "int", "double", "currency", "percent", "boolean"})


@dataclass(frozen=True, slots=True)
class Edge:
    """The row that a page begins after: its value (None: empty), and its id."""

    value: str | None
    id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    shape: Shape
    view: str  # one of VIEWS
    user: str
    sort: Field
    down: bool = False
    after: Edge | None = None
    backward: bool = False  # the rows before the edge, nearest first
    parent: tuple[str, str] | None = None  # of a related list: field and id


def soql(wanted: Wanted) -> str:
    """One row more than a page has, so that it shows whether there are others."""
    names = dict.fromkeys(("Id", *(each.name for each in wanted.shape.columns()), wanted.sort.name))
    where = _where([*_filters(wanted), *_beyond(wanted)])
    down = wanted.down != wanted.backward
    order = f"{wanted.sort.name} {_direction(down)} NULLS {'FIRST' if wanted.backward else 'LAST'}"
    ids = f", Id {_direction(down)}"
    return f"SELECT {', '.join(names)} FROM {wanted.shape.kind.name}{where} ORDER BY {order}{ids} LIMIT {SIZE + 1}"


def counted(wanted: Wanted) -> str:
    return f"SELECT COUNT() FROM {wanted.shape.kind.name}{_where(_filters(wanted))}"


def edge_of(wanted: Wanted, row: dict[str, object]) -> Edge:
    value = row[wanted.sort.name]
    return Edge(None if value is None else _written(wanted.sort, value), str(row["Id"]))


def _filters(wanted: Wanted) -> list[str]:
    found = [f"{wanted.parent[0]} = {quoted(wanted.parent[1])}"] if wanted.parent else []
    if wanted.view == "owned" and wanted.shape.owned:
        found.append(f"OwnerId = {quoted(wanted.user)}")
    if wanted.view == "recent" and "LastModifiedDate" in wanted.shape.fields:
        found.append("LastModifiedDate = LAST_N_DAYS:30")
    return found


def _beyond(wanted: Wanted) -> list[str]:
    if wanted.after is None:
        return []
    name, edge = wanted.sort.name, wanted.after
    over = "<" if wanted.down != wanted.backward else ">"
    beside = f"Id {over} {quoted(edge.id)}"
    if edge.value is None:
        same = f"({name} = null AND {beside})"
        return [f"({same} OR {name} != null)" if wanted.backward else same]
    value = _literal(wanted.sort, edge.value)
    parts = [f"({name} = {value} AND {beside})"]
    if wanted.sort.type != "boolean":
        parts.insert(0, f"{name} {over} {value}")
    elif (edge.value == "true") == (over == "<"):
        parts.insert(0, f"{name} = {'false' if edge.value == 'true' else 'true'}")
    if not wanted.backward and wanted.sort.nillable and wanted.sort.type != "boolean":
        parts.append(f"{name} = null")
        return [f"({' OR '.join(parts)})"]
    bound = [] if wanted.sort.type == "boolean" else [f"{name} {over}= {value}"]  # where an index begins
    return [*bound, f"({' OR '.join(parts)})"]


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _direction(down: bool) -> str:
    return "DESC" if down else "ASC"


def _written(field: Field, value: object) -> str:
    if field.type == "boolean":
        return "true" if value else "false"
    return str(value).replace("+0000", "Z") if field.type == "datetime" else str(value)


def _literal(field: Field, text: str) -> str:
    """What came with an address is not trusted: only what the type can be goes in without quotes."""
    if field.type not in _PLAIN:
        return quoted(text)
    kept = "".join(each for each in text if each.isascii() and (each.isalnum() or each in "+-:."))
    return kept or "null"
