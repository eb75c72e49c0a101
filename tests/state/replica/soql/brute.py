"""Questions whose answers need no database: SOQL beside the same in Python, over rows that are dicts.

Shares nothing with the translator: conditions are closures, groups are dicts, order is `sorted`. What SOQL says of
null, case and dates is written down here a second time.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[
    str, Any
]  # field -> value; "Account", "Owner", … -> the parent's row or None; "#" -> the object's name
Test = Callable[[Row], bool]
Get = Callable[[Row], Any]


@dataclass(frozen=True)
class Asked:
    """An operand: its SOQL, its type, how to read it. `production` is its row in the coverage table."""

    soql: str
    type: str
    get: Get


@dataclass(frozen=True)
class Where:
    soql: str
    holds: Test
    uses: tuple[tuple[str, str, str], ...] = ()  # production, type, what the literal is


@dataclass
class Coverage:
    """How often each production met each type, with null on either side."""

    seen: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def note(self, production: str, type_: str, null: str) -> None:
        key = (production, type_, null)
        self.seen[key] = self.seen.get(key, 0) + 1

    def table(self) -> str:
        productions = sorted({key[0] for key in self.seen})
        types = sorted({key[1] for key in self.seen})
        nulls = sorted({key[2] for key in self.seen})
        lines = [f"| production | null | {' | '.join(types)} |", f"| --- | --- |{' --- |' * len(types)}"]
        for production in productions:
            for null in nulls:
                cells = [str(self.seen.get((production, each, null), "")) for each in types]
                if any(cells):
                    lines.append(f"| {production} | {null} | {' | '.join(cells)} |")
        return "\n".join(lines)


def folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def spelled(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).upper()
        case str():
            return quoted(value)
        case datetime.datetime():
            return value.isoformat() + "Z"
        case datetime.date():
            return value.isoformat()
    return str(value)


def path(*names: str) -> Get:
    def get(row: Row) -> Any:
        here: Any = row
        for name in names:
            here = None if here is None else here[name]
        return here

    return get


def compared(operand: Asked, sign: str, value: Any) -> Test:
    """null equals null, and is neither more nor less than anything; a boolean without a value is false."""

    def holds(row: Row) -> bool:
        mine, other = folded(operand.get(row)), folded(value)
        if operand.type == "boolean":
            mine, other = bool(mine), bool(other)
        if sign in ("=", "!="):
            return bool(mine == other) == (sign == "=")
        if mine is None or other is None:
            return False
        return bool({"<": mine < other, "<=": mine <= other, ">": mine > other, ">=": mine >= other}[sign])

    return holds


def within(operand: Asked, sign: str, first: datetime.date, last: datetime.date) -> Test:
    """A stretch of days: equal is within it, less is before it."""

    def holds(row: Row) -> bool:
        mine = operand.get(row)
        if mine is None:
            return sign == "!="
        day = mine.date() if isinstance(mine, datetime.datetime) else mine
        inside = first <= day <= last
        return {"=": inside, "!=": not inside, "<": day < first, "<=": day <= last, ">": day > last,
                ">=": day >= first}[sign]  # fmt: skip

    return holds


def among(operand: Asked, values: Sequence[Any], negated: bool) -> Test:
    wanted = {folded(each) for each in values}
    if operand.type == "boolean":
        wanted = {bool(each) for each in wanted}
        return lambda row: (bool(operand.get(row)) in wanted) != negated
    return lambda row: (folded(operand.get(row)) in wanted) != negated


def alike(operand: Asked, pieces: Sequence[str]) -> Test:
    parts = [{"%": ".*", "_": "."}.get(each) or re.escape(each[-1].lower()) for each in pieces]
    pattern = re.compile("".join(parts), re.DOTALL)

    def holds(row: Row) -> bool:
        mine = operand.get(row)
        return mine is not None and pattern.fullmatch(mine.lower()) is not None

    return holds


def included(operand: Asked, choices: Sequence[str], negated: bool) -> Test:
    def holds(row: Row) -> bool:
        mine = operand.get(row)
        chosen = set() if mine is None else set(mine.lower().split(";"))
        return any(set(each.lower().split(";")) <= chosen for each in choices) != negated

    return holds


def ranked(rows: Sequence[Row], orders: Sequence[tuple[Get, bool, bool]]) -> list[Row]:
    """By (operand, descending, nulls last), what differs least significant first."""
    result = sorted(rows, key=lambda row: row["Id"])
    for get, descending, nulls_last in reversed(orders):
        there = [row for row in result if get(row) is not None]
        absent = [row for row in result if get(row) is None]
        there.sort(key=lambda row, by=get: folded(by(row)), reverse=descending)  # type: ignore[misc]
        result = there + absent if nulls_last else absent + there
    return result


def date_part(name: str) -> Callable[[Any], int]:
    """Of a date or a datetime; January begins the fiscal year."""
    return {
        "CALENDAR_YEAR": lambda d: d.year,
        "CALENDAR_QUARTER": lambda d: (d.month + 2) // 3,
        "CALENDAR_MONTH": lambda d: d.month,
        "FISCAL_YEAR": lambda d: d.year,
        "FISCAL_QUARTER": lambda d: (d.month + 2) // 3,
        "FISCAL_MONTH": lambda d: d.month,
        "DAY_IN_MONTH": lambda d: d.day,
        "DAY_IN_WEEK": lambda d: d.isoweekday() % 7 + 1,
        "DAY_IN_YEAR": lambda d: d.timetuple().tm_yday,
        "WEEK_IN_MONTH": lambda d: (d.day + 6) // 7,
        "WEEK_IN_YEAR": lambda d: (d.timetuple().tm_yday + 6) // 7,
        "HOUR_IN_DAY": lambda d: d.hour,
    }[name]


def total(name: str, values: Sequence[Any]) -> Any:
    """An aggregate over the values of a group; nulls do not count."""
    there = [each for each in values if each is not None]
    match name:
        case "COUNT":
            return len(there)
        case "COUNT_DISTINCT":
            return len({folded(each) for each in there})
    if not there:
        return None
    return {"SUM": sum, "AVG": lambda v: sum(v) / len(v), "MIN": min, "MAX": max}[name](there)
