"""Whole SELECT statements out of random parts, each with the answer that the rows give."""

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from tests.state.replica.soql import brute
from tests.state.replica.soql.brute import Asked, Get, Row
from tests.state.replica.soql.questions import AGGREGATES, DATE_FUNCTIONS, FIELDS, PARENTS, TEXTS, Questions

NAMES = tuple(FIELDS)
CHILDREN = {"Contacts": ("Contact", "AccountId"), "Events": ("Event", "WhatId")}


@dataclass(frozen=True)
class Statement:
    """`expected` is what the records hold, without attributes; in any order unless `sorted`."""

    soql: str
    expected: list[Any]
    sorted: bool = True
    options: dict[str, Any] = field(default_factory=dict)


class Statements(Questions):
    def any(self) -> Statement:
        made: Sequence[Callable[[], Statement]] = (
            self.records, self.records, self.records, self.count, self.with_children, self.groups, self.groups,
            self.rollup, self.totals, self.typeof, self.mine, self.field_set, self.formatted, self.aliased,
        )  # fmt: skip
        return self.chance.choice(made)()

    def records(self) -> Statement:
        name = self.chance.choice(NAMES)
        deleted = self.chance.random() < 0.2
        rows = self.town.rows[name] if deleted else self.town.living(name)
        where = self.condition(name) if not deleted else None
        found = [row for row in rows if where is None or where.holds(row)]
        order, found = self.ordered(name, found)
        window, found = self.window(found)
        selected = self.selected(name)
        soql = f"SELECT Id{''.join(f', {each.soql}' for each in selected)} FROM {name}"
        soql += f" WHERE {where.soql}" if where else ""
        if deleted:
            self.coverage.note("queryAll", "record", "-")
            ids = sorted(
                row["Id"] for row in rows
            )  # their parents may be deleted ones, which rows do not hold
            return Statement(
                f"SELECT Id FROM {name}", [{"Id": each} for each in ids], options={"include_deleted": True}
            )
        return Statement(soql + order + window, [_shown(row, selected) for row in found])

    def count(self) -> Statement:
        name = self.chance.choice(NAMES)
        where = self.condition(name)
        found = [row for row in self.town.living(name) if where.holds(row)]
        self.coverage.note("COUNT()", "record", "-")
        return Statement(f"SELECT COUNT() FROM {name} WHERE {where.soql}", [len(found)])

    def with_children(self) -> Statement:
        relation = self.chance.choice(list(CHILDREN))
        child, column = CHILDREN[relation]
        where = self.condition(child, 1)
        matching = [row for row in self.town.living(child) if where.holds(row)]
        order, matching = self.ordered(child, matching)
        limit, offset = self.chance.choice([None, 1, 2]), self.chance.choice([None, 1])
        window = f" LIMIT {limit}" if limit is not None else ""
        window += f" OFFSET {offset}" if offset is not None else ""
        expected = []
        for row in self.town.living("Account"):
            mine = [{"Id": each["Id"]} for each in matching if each[column] == row["Id"]][offset or 0 :]
            mine = mine if limit is None else mine[:limit]
            content = {"totalSize": len(mine), "done": True, "records": mine} if mine else None
            expected.append({"Id": row["Id"], relation: content})
        self.coverage.note("child subquery", "record", "-")
        inner = f"SELECT Id FROM {relation} WHERE {where.soql}{order}{window}"
        return Statement(f"SELECT Id, ({inner}) FROM Account", expected)

    def typeof(self) -> Statement:
        def shown(row: Row) -> Any:
            what = row["What"]
            return what and {"Name": what["Name"], "NumberOfEmployees": what["NumberOfEmployees"]}

        self.coverage.note("TYPEOF", "reference", "-")
        soql = "SELECT Id, TYPEOF What WHEN Account THEN Name, NumberOfEmployees ELSE Name END FROM Event"
        return Statement(soql, [{"Id": row["Id"], "What": shown(row)} for row in self.town.living("Event")])

    def mine(self) -> Statement:
        name = self.chance.choice(("Account", "Contact", "Event"))
        user = self.chance.choice(self.town.rows["User"])["Id"]
        self.coverage.note("USING SCOPE mine", "record", "-")
        found = [{"Id": row["Id"]} for row in self.town.living(name) if row["OwnerId"] == user]
        return Statement(f"SELECT Id FROM {name} USING SCOPE mine", found, options={"user": user})

    def field_set(self) -> Statement:
        """FIELDS(STANDARD): of these rows, what the statement names too must be among it."""
        name = self.chance.choice(("User", "Event"))
        self.coverage.note("FIELDS(STANDARD)", "record", "-")
        columns = {"User": ("Id", "Name", "Username", "Email", "IsActive", "ManagerId"), "Event": (
            "Id", "IsDeleted", "OwnerId", "CreatedDate", "SystemModstamp", "Subject", "StartDateTime", "WhoId",
            "WhatId")}[name]  # fmt: skip
        expected = [{each: _json(row.get(each)) for each in columns} for row in self.town.living(name)]
        return Statement(f"SELECT FIELDS(STANDARD) FROM {name}", expected)

    def formatted(self) -> Statement:
        """FORMAT(): as a person in the United States reads it."""
        name = self.chance.choice(NAMES)
        operand = self.operand(
            name, ["string", "int", "date", "datetime", "currency", "double"], parents=False
        )
        self.coverage.note("FORMAT", operand.type, "-")
        expected = [{"Id": row["Id"], "f": _read(operand.get(row))} for row in self.town.living(name)]
        return Statement(f"SELECT Id, FORMAT({operand.soql}) f FROM {name}", expected)

    def aliased(self) -> Statement:
        """Aliases of FROM, for the object and for a parent; and what may stand after it without changing anything."""
        value = self.chance.choice([None, *TEXTS])
        sign = self.chance.choice(["=", "!="])
        operand = Asked("a.Name", "string", brute.path("Account", "Name"))
        holds = brute.compared(operand, sign, value)
        self.coverage.note("alias in FROM", "string", "-")
        expected = [
            {"Id": row["Id"], "Account": row["Account"] and {"Industry": row["Account"]["Industry"]}}
            for row in self.town.living("Contact")
            if holds(row)
        ]
        mode = self.chance.choice(["", " WITH USER_MODE", " WITH SECURITY_ENFORCED", " WITH SYSTEM_MODE"])
        tail = self.chance.choice(["", " FOR VIEW", " FOR REFERENCE"])
        where = f"a.Name {sign} {brute.spelled(value)}"
        return Statement(
            f"SELECT c.Id, a.Industry FROM Contact c, c.Account a WHERE {where}{mode}{tail}", expected
        )

    def totals(self) -> Statement:
        """Aggregates over all rows."""
        name = self.chance.choice(NAMES)
        where = self.condition(name, 1)
        found = [row for row in self.town.living(name) if where.holds(row)]
        totals = [self.aggregate(name) for _ in range(2)]
        soql = f"SELECT {', '.join(f'{each[0]} a{i}' for i, each in enumerate(totals))} FROM {name} WHERE {where.soql}"
        return Statement(soql, [{f"a{i}": _json(each[1](found)) for i, each in enumerate(totals)}])

    def groups(self) -> Statement:
        name = self.chance.choice(NAMES)
        key = self.key(name)
        where = self.condition(name, 1)
        call, get = self.aggregate(name)
        groups = _grouped([row for row in self.town.living(name) if where.holds(row)], [key])
        having, limit = self.chance.choice([None, 1, 2]), ""
        kept = {k: rows for k, rows in groups.items() if having is None or len(rows) >= having}
        self.coverage.note("GROUP BY", key.type, "null group" if (None,) in groups else "no null group")
        if having is not None:
            self.coverage.note("HAVING", key.type, "-")
        soql = f"SELECT {key.soql} k, {call} a FROM {name} WHERE {where.soql} GROUP BY {key.soql}"
        soql += f" HAVING COUNT(Id) >= {having}" if having is not None else ""
        if self.chance.random() < 0.5:
            soql += f" ORDER BY {key.soql} DESC NULLS LAST"
            limit = "sorted"
        expected = [{"k": _one(key, rows), "a": _json(get(rows))} for rows in kept.values()]
        if limit:
            there = sorted(
                (e for e in expected if e["k"] is not None), key=lambda e: brute.folded(e["k"]), reverse=True
            )
            expected = there + [e for e in expected if e["k"] is None]
        return Statement(soql, expected, sorted=bool(limit))

    def rollup(self) -> Statement:
        name, keys = self.chance.choice(
            [("Contact", ["LastName", "DoNotCall"]), ("Account", ["Industry", "NumberOfEmployees"])]
        )
        operands = [Asked(each, FIELDS[name][each], brute.path(each)) for each in keys]
        word = self.chance.choice(["ROLLUP", "CUBE"])
        sets = [operands[:2], operands[:1], []]
        if word == "CUBE":
            sets = [list(some) for size in (2, 1, 0) for some in combinations(operands, size)]
        where = self.condition(name, 0)
        rows = [row for row in self.town.living(name) if where.holds(row)]
        expected = []
        for kept in sets:
            groups = _grouped(rows, kept) if kept else {(): rows}
            for group in groups.values():
                shown = {
                    f"k{i}": _one(each, group) if each in kept else None for i, each in enumerate(operands)
                }
                marks = {f"g{i}": int(each not in kept) for i, each in enumerate(operands)}
                expected.append({**shown, **marks, "n": len(group)})
        for each in operands:
            self.coverage.note(word, each.type, "-")
        columns = [f"{each} k{i}" for i, each in enumerate(keys)] + [
            f"GROUPING({each}) g{i}" for i, each in enumerate(keys)
        ]
        group = f"GROUP BY {word}({', '.join(keys)})"
        soql = f"SELECT {', '.join(columns)}, COUNT(Id) n FROM {name} WHERE {where.soql} {group}"
        return Statement(soql, expected, sorted=False)

    def key(self, name: str) -> Asked:
        if name != "User" and self.chance.random() < 0.4:
            call = self.chance.choice(DATE_FUNCTIONS)
            operand = self.operand(name, ["datetime"] if call == "HOUR_IN_DAY" else ["date", "datetime"])
            part = brute.date_part(call)
            get: Get = lambda row: None if operand.get(row) is None else part(operand.get(row))  # noqa: E731
            return Asked(f"{call}({operand.soql})", "int", get)
        return self.operand(name, ["string", "picklist", "email", "boolean", "date", "int"])

    def aggregate(self, name: str) -> tuple[str, Callable[[Sequence[Row]], Any]]:
        call = self.chance.choice(AGGREGATES)
        types = ["int", "double", "currency"] if call in ("SUM", "AVG") else None
        if name in ("Event", "User") and types:
            call, types = "COUNT", None
        if call in ("MIN", "MAX"):
            types = ["string", "int", "double", "currency", "date", "datetime"]
        operand = self.operand(name, types, parents=call != "COUNT_DISTINCT")
        self.coverage.note(call, operand.type, "-")
        return f"{call}({operand.soql})", lambda rows: brute.total(
            call, [_known(operand, row) for row in rows]
        )

    def ordered(self, name: str, rows: list[Row]) -> tuple[str, list[Row]]:
        keys, written = [], []
        for _ in range(self.chance.randint(0, 2)):
            operand = self.operand(
                name, ["string", "picklist", "email", "int", "double", "currency", "date", "datetime"]
            )
            descending, nulls = self.chance.random() < 0.5, self.chance.choice(["", "FIRST", "LAST"])
            keys.append((operand.get, descending, nulls == "LAST"))
            written.append(
                f"{operand.soql}{' DESC' if descending else ''}{f' NULLS {nulls}' if nulls else ''}"
            )
            self.coverage.note(
                f"ORDER BY {'DESC' if descending else 'ASC'}", operand.type, f"nulls {nulls or '-'}".lower()
            )
        return (f" ORDER BY {', '.join(written)}" if written else ""), brute.ranked(rows, keys)

    def window(self, rows: list[Row]) -> tuple[str, list[Row]]:
        limit, offset = self.chance.choice([None, None, 0, 1, 5]), self.chance.choice([None, None, 1, 3])
        window = (f" LIMIT {limit}" if limit is not None else "") + (
            f" OFFSET {offset}" if offset is not None else ""
        )
        for word in window.split()[::2]:
            self.coverage.note(word, "record", "-")
        rows = rows[offset or 0 :]
        return window, rows if limit is None else rows[:limit]

    def selected(self, name: str) -> list[Asked]:
        """Fields of the object itself, and one parent's."""
        own = [Asked(each, type_, brute.path(each)) for each, type_ in FIELDS[name].items()]
        chosen = self.chance.sample(own, self.chance.randint(0, len(own)))
        prefix, parent = self.chance.choice(list(PARENTS[name].items()))
        label, type_ = self.chance.choice(list(FIELDS[parent].items()))
        chosen.append(Asked(f"{prefix}.{label}", type_, brute.path(*prefix.split("."), label)))
        for each in chosen:
            self.coverage.note("SELECT of a parent" if "." in each.soql else "SELECT", each.type, "-")
        return chosen


def _known(operand: Asked, row: Row) -> Any:
    value = operand.get(row)
    return bool(value) if operand.type == "boolean" else value


def _grouped(rows: Sequence[Row], keys: Sequence[Asked]) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(brute.folded(_known(key, row)) for key in keys), []).append(row)
    return groups


def _one(key: Asked, rows: Sequence[Row]) -> Any:
    """What a group is called, when its rows spell it in several ways: the first of them."""
    values = [_known(key, row) for row in rows]
    return None if None in values else _json(min(values))


def _shown(row: Row, selected: Sequence[Asked]) -> dict[str, Any]:
    record: dict[str, Any] = {"Id": row["Id"]}
    for each in selected:
        *parents, label = each.soql.split(".")
        here, below = record, row
        for parent in parents:
            below = below[parent]
            here[parent] = None if below is None else here.get(parent) or {}
            here = here[parent]
            if below is None:
                break
        else:
            here[label] = _json(below[label])
    return record


def _read(value: Any) -> Any:
    match value:
        case datetime.datetime():
            hour = value.hour % 12 or 12
            half = "AM" if value.hour < 12 else "PM"
            return f"{value.month}/{value.day}/{value.year}, {hour}:{value.minute:02} {half}"
        case datetime.date():
            return f"{value.month}/{value.day}/{value.year}"
        case float():
            return str(int(value)) if value == int(value) else f"{value:.2f}"
        case int():
            return str(value)
    return value


def _json(value: Any) -> Any:
    match value:
        case datetime.datetime():
            return value.isoformat(timespec="milliseconds") + "+0000"
        case datetime.date():
            return value.isoformat()
        case float():
            return round(value, 9)
    return value


def same(found: list[Any], wanted: list[Any], in_order: bool) -> bool:
    return found == wanted if in_order else Counter(map(repr, found)) == Counter(map(repr, wanted))


def bare(value: Any) -> Any:
    """A reply without attributes, its numbers as round as the ones that are expected."""
    match value:
        case dict():
            return {k: bare(v) for k, v in value.items() if k != "attributes"}
        case list():
            return [bare(each) for each in value]
        case float():
            return round(value, 9)
    return value
