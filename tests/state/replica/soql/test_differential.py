"""WHERE, ORDER BY, LIMIT and OFFSET against an evaluator over dicts that shares nothing with the translator."""

import datetime
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.replica.soql.world import NOW, World, opened, record_id

Row = dict[str, Any]
Test = Callable[[Row], bool]

TEXTS = ["a", "A", "ab", "Ab_", "b%", "a\\b", "Ä", "äb", "o'x", " "]
NUMBERS = [-1.5, 0.0, 1.0, 2.0]
DAYS = [NOW.date() + datetime.timedelta(days=shift) for shift in (-400, -8, -1, 0, 1, 40)]
TEXT_FIELDS = ("MailingCity", "Account.Industry")
FIELDS = (*TEXT_FIELDS, "Score__c", "Birthdate", "DoNotCall")
COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Where:
    """A condition as SOQL, and the same in Python."""

    soql: str
    holds: Test


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def spelled(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).upper()
        case str():
            return quoted(value)
        case datetime.date():
            return value.isoformat()
        case _:
            return str(value)


def values_of(field: str) -> st.SearchStrategy[Any]:
    if field in TEXT_FIELDS:
        return st.sampled_from(TEXTS)
    return st.sampled_from({"Score__c": NUMBERS, "Birthdate": DAYS, "DoNotCall": [True, False]}[field])


@st.composite
def comparisons(draw: st.DrawFn) -> Where:
    field = draw(st.sampled_from(FIELDS))
    value = draw(st.none() | values_of(field))
    only_equal = field == "DoNotCall" or value is None
    sign = draw(st.sampled_from(["=", "!="] if only_equal else ["=", "!=", "<", "<=", ">", ">="]))

    def holds(row: Row) -> bool:
        mine, given_ = folded(row[field]), folded(value)
        if sign == "!=":
            return bool(mine != given_)
        if mine is None or given_ is None:
            return sign == "=" and mine is given_
        return bool(COMPARISONS[sign](mine, given_))

    return Where(f"{field} {sign} {spelled(value)}", holds)


@st.composite
def memberships(draw: st.DrawFn) -> Where:
    field = draw(st.sampled_from(FIELDS[:-1]))
    values = draw(st.lists(st.none() | values_of(field), min_size=1, max_size=4))
    negated = draw(st.booleans())
    wanted = {folded(value) for value in values}
    return Where(
        f"{field} {'NOT ' if negated else ''}IN ({', '.join(map(spelled, values))})",
        lambda row: (folded(row[field]) in wanted) != negated,
    )


@st.composite
def likes(draw: st.DrawFn) -> Where:
    field = draw(st.sampled_from(TEXT_FIELDS))
    pieces = draw(
        st.lists(st.sampled_from(["%", "_", "a", "B", "Ä", "\\%", "\\_", "\\\\", "\\'"]), max_size=4)
    )
    expression = "".join({"%": ".*", "_": "."}.get(each, re.escape(each[-1].lower())) for each in pieces)
    pattern = re.compile(expression, re.DOTALL)

    def holds(row: Row) -> bool:
        return row[field] is not None and pattern.fullmatch(row[field].lower()) is not None

    return Where(f"{field} LIKE '{''.join(pieces)}'", holds)


@st.composite
def recent(draw: st.DrawFn) -> Where:
    days = draw(st.integers(0, 500))
    first, today = NOW.date() - datetime.timedelta(days=days), NOW.date()

    def holds(row: Row) -> bool:
        return row["Birthdate"] is not None and first <= row["Birthdate"] <= today

    return Where(f"Birthdate = LAST_N_DAYS:{days}", holds)


def joined(word: str, parts: list[Where]) -> Where:
    whole = all if word == "AND" else any
    soql = f" {word} ".join(part.soql for part in parts)
    return Where(f"({soql})", lambda row: whole(part.holds(row) for part in parts))


def combined(inner: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
    lists = st.lists(inner, min_size=2, max_size=3)
    negated = inner.map(lambda part: Where(f"(NOT ({part.soql}))", lambda row: not part.holds(row)))
    return st.builds(joined, st.sampled_from(["AND", "OR"]), lists) | negated


conditions = st.recursive(comparisons() | memberships() | likes() | recent(), combined, max_leaves=6)


@st.composite
def contacts(draw: st.DrawFn) -> Row:
    values = {field: draw(st.none() | values_of(field)) for field in FIELDS if field != "Account.Industry"}
    return {**values, "DoNotCall": bool(values["DoNotCall"]), "account": draw(st.integers(0, 3))}


orders = st.lists(
    st.tuples(
        st.sampled_from(FIELDS),
        st.sampled_from(["", " ASC", " DESC"]),
        st.sampled_from(["", " FIRST", " LAST"]),
    ),
    max_size=3,
)


def fill(world: World, rows: list[Row], industries: list[str | None]) -> list[Row]:
    """Writes the rows, and adds to each its Id and what its account says."""
    for number, industry in enumerate(industries, start=1):
        world.add("Account", number, Name=f"Account {number}", Industry=industry)
    for number, row in enumerate(rows, start=1):
        account = row["account"]
        stored = {name: value for name, value in row.items() if name != "account"}
        world.add("Contact", number, AccountId=("Account", account) if account else None, **stored)
    return [
        {
            **row,
            "Id": record_id("Contact", number),
            "Account.Industry": industries[row["account"] - 1] if row["account"] else None,
        }
        for number, row in enumerate(rows, start=1)
    ]


def ranked(rows: list[Row], order: list[tuple[str, str, str]]) -> list[Row]:
    result = sorted(rows, key=lambda row: row["Id"])
    for field, direction, nulls in reversed(order):
        there = [row for row in result if row[field] is not None]
        absent = [row for row in result if row[field] is None]
        there.sort(key=lambda row, by=field: folded(row[by]), reverse=direction == " DESC")  # type: ignore[misc]
        result = there + absent if nulls == " LAST" else absent + there
    return result


@dataclass(frozen=True)
class Statement:
    where: Where
    order: list[tuple[str, str, str]]
    limit: int | None
    offset: int | None

    @property
    def soql(self) -> str:
        keys = (
            f"{field}{direction}{' NULLS' if nulls else ''}{nulls}" for field, direction, nulls in self.order
        )
        clauses = {" ORDER BY ": ", ".join(keys) or None, " LIMIT ": self.limit, " OFFSET ": self.offset}
        tail = "".join(f"{word}{value}" for word, value in clauses.items() if value is not None)
        return f"SELECT Id FROM Contact WHERE {self.where.soql}{tail}"

    def answer(self, rows: list[Row]) -> list[str]:
        ids = [row["Id"] for row in ranked([row for row in rows if self.where.holds(row)], self.order)]
        ids = ids[self.offset or 0 :]
        return ids if self.limit is None else ids[: self.limit]


statements = st.builds(
    Statement, conditions, orders, st.none() | st.integers(0, 9), st.none() | st.integers(0, 3)
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(contacts(), min_size=4, max_size=10),
    industries=st.lists(st.none() | st.sampled_from(TEXTS), min_size=3, max_size=3),
    asked=st.lists(statements, min_size=10, max_size=10),
)
def test_answers_what_an_evaluator_over_dicts_answers(
    rows: list[Row], industries: list[str | None], asked: list[Statement]
) -> None:
    with opened() as world:
        known = fill(world, rows, industries)
        for statement in asked:
            assert world.column(statement.soql) == statement.answer(known), statement.soql
