"""Random rows, and random questions about them in every production of the grammar."""

import datetime
import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.state.replica.soql import brute
from tests.state.replica.soql.brute import Asked, Coverage, Row, Test, Where
from tests.state.replica.soql.world import NOW, World, record_id

TEXTS = ["a", "A", "ab", "Ab_", "b%", "a\\b", "Ä", "äb", "o'x", "zz top"]
CHOICES = ["x", "Y", "zä"]
NUMBERS = [-1.5, 0.0, 1.0, 2.25]
WHOLE = [-3, 0, 7, 40]
DAYS = [NOW.date() + datetime.timedelta(days=shift) for shift in (-400, -35, -8, -1, 0, 1, 6, 40, 380)]
TIMES = [datetime.datetime.combine(day, datetime.time(hour)) for day in DAYS[1:8] for hour in (0, 10, 23)]

# type -> values that a row or a literal can have; every field of SPEC that is asked for
VALUES: dict[str, Sequence[Any]] = {
    "string": TEXTS, "picklist": TEXTS, "email": TEXTS, "double": NUMBERS, "currency": NUMBERS, "int": WHOLE,
    "date": DAYS, "datetime": TIMES, "boolean": [True, False],
}  # fmt: skip
FIELDS = {
    "Account": {"Name": "string", "Industry": "picklist", "AnnualRevenue": "currency", "NumberOfEmployees": "int",
                "Tier__c": "multipicklist", "CreatedDate": "datetime", "IsDeleted": "boolean"},
    "Contact": {"LastName": "string", "Email": "email", "Birthdate": "date", "Score__c": "double",
                "DoNotCall": "boolean", "CreatedDate": "datetime", "MailingStreet": "textarea"},
    "Event": {"Subject": "string", "StartDateTime": "datetime"},
    "User": {"Name": "string", "IsActive": "boolean"},
}  # fmt: skip
PARENTS = {  # object -> path -> where its fields are described
    "Account": {"Owner": "User", "Parent": "Account", "Parent.Owner": "User"},
    "Contact": {"Account": "Account", "Account.Parent": "Account", "Account.Owner": "User", "Owner": "User"},
    "Event": {"Owner": "User"},
    "User": {"Manager": "User"},
}
SIGNS = ("=", "!=", "<", "<=", ">", ">=")
DATE_FUNCTIONS = (
    "CALENDAR_YEAR", "CALENDAR_QUARTER", "CALENDAR_MONTH", "FISCAL_YEAR", "FISCAL_QUARTER", "FISCAL_MONTH",
    "DAY_IN_MONTH", "DAY_IN_WEEK", "DAY_IN_YEAR", "WEEK_IN_MONTH", "WEEK_IN_YEAR", "HOUR_IN_DAY",
)  # fmt: skip
AGGREGATES = ("COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX")
_NUMERIC = ("int", "double", "currency")


class Town:
    """Objects' rows as dicts that hold their parents' dicts, and the same rows in a database."""

    def __init__(self, chance: random.Random, world: World) -> None:
        self.rows: dict[str, list[Row]] = {}
        for name, count in (("User", 3), ("Account", 7), ("Contact", 14), ("Event", 12)):
            self.rows[name] = [self._row(chance, world, name, number) for number in range(1, count + 1)]

    def living(self, name: str) -> list[Row]:
        return [row for row in self.rows[name] if not row.get("IsDeleted")]

    def _row(self, chance: random.Random, world: World, name: str, number: int) -> Row:
        values = {each: _value(chance, type_) for each, type_ in FIELDS[name].items()}
        values |= {each: bool(values[each]) for each, type_ in FIELDS[name].items() if type_ == "boolean"}
        if "IsDeleted" in values or name in ("Contact", "Event"):
            values["IsDeleted"] = chance.random() < 0.2
        targets = {"User": {"ManagerId": "User"}, "Account": {"OwnerId": "User", "ParentId": "Account"},
                   "Contact": {"OwnerId": "User", "AccountId": "Account"},
                   "Event": {"OwnerId": "User", "WhoId": "Contact", "WhatId": "Account"}}[name]  # fmt: skip
        chosen = {each: self._any(chance, target) for each, target in targets.items()}
        world.add(name, number, **values, **{k: _reference(v) for k, v in chosen.items()})
        row: Row = {"#": name, "Id": record_id(name, number), **values}
        for each, parent in chosen.items():
            row[each] = parent and parent["Id"]
            row[each.removesuffix("Id")] = None if parent is None or parent.get("IsDeleted") else parent
        return row

    def _any(self, chance: random.Random, name: str) -> Row | None:
        there = self.rows.get(name, [])
        return chance.choice(there) if there and chance.random() < 0.8 else None


def _reference(row: Row | None) -> tuple[str, int] | None:
    return (
        None
        if row is None
        else (row["#"], next(n for n in range(1, 99) if record_id(row["#"], n) == row["Id"]))
    )


def _value(chance: random.Random, type_: str) -> Any:
    if chance.random() < 0.25:
        return None
    if type_ == "multipicklist":
        return ";".join(sorted(chance.sample(CHOICES, chance.randint(1, 3))))
    return chance.choice(VALUES.get(type_, TEXTS))


class Questions:
    """Makes conditions, orders and whole statements; notes in `coverage` what they are made of."""

    def __init__(self, chance: random.Random, town: Town, coverage: Coverage) -> None:
        self.chance, self.town, self.coverage = chance, town, coverage

    def operand(self, name: str, types: Sequence[str] | None = None, parents: bool = True) -> Asked:
        """A field of the object or of a parent, of one of these types."""
        places = [("", name)] + (list(PARENTS[name].items()) if parents else [])
        found = [
            Asked(
                f"{prefix}.{each}".lstrip("."), type_, brute.path(*[p for p in prefix.split(".") if p], each)
            )
            for prefix, object_ in places
            for each, type_ in FIELDS[object_].items()
            if type_ != "textarea" and (types is None or type_ in types)
        ]
        type_ = self.chance.choice(
            sorted({each.type for each in found})
        )  # rare types as often as common ones
        chosen = self.chance.choice([each for each in found if each.type == type_])
        if self.chance.random() > 0.1:
            return chosen
        self.coverage.note("path with its own object", type_, "-")
        return Asked(f"{name}.{chosen.soql}", type_, chosen.get)

    def _seen(self, production: str, type_: str, null: str = "literal") -> tuple[int, float]:
        """How often, least first; chance decides between equals."""
        count = sum(
            self.coverage.seen.get((production, type_, f"{null}, some rows {n}"), 0) for n in ("null", "not")
        )
        return count, self.chance.random()

    def condition(self, name: str, depth: int = 2) -> Where:
        if depth and self.chance.random() < 0.5:
            return self._combined(name, depth - 1)
        made: Sequence[Callable[[str], Where]] = (
            self._comparison, self._comparison, self._comparison, self._membership, self._membership, self._like,
            self._includes, self._period, self._period, self._function, self._function, self._join, self._polymorphic,
            self._wrapped, self._ids,
        )  # fmt: skip
        return self.chance.choice(made)(name)

    def _combined(self, name: str, depth: int) -> Where:
        if self.chance.random() < 0.3:
            part = self.condition(name, depth)
            self.coverage.note("NOT", "condition", "-")
            return Where(f"(NOT {part.soql})", lambda row: not part.holds(row))
        word, whole = self.chance.choice([("AND", all), ("OR", any)])
        parts = [self.condition(name, depth) for _ in range(self.chance.randint(2, 3))]
        self.coverage.note(word, "condition", "-")
        soql = f" {word} ".join(each.soql for each in parts)
        return Where(f"({soql})", lambda row: whole(each.holds(row) for each in parts))

    def _test(
        self, production: str, name: str, operand: Asked, literal: Any, soql: str, holds: Test
    ) -> Where:
        values = [operand.get(row) for row in self.town.living(name)]
        null = "null literal" if literal is None else "literal"
        if None in values:
            self.coverage.note(production, operand.type, f"{null}, some rows null")
        if any(value is not None for value in values):
            self.coverage.note(production, operand.type, f"{null}, some rows not")
        return Where(soql, holds)

    def _comparison(self, name: str) -> Where:
        operand = self.operand(name, list(VALUES))
        value = None if self.chance.random() < 0.2 else self.chance.choice(VALUES[operand.type])
        only_equal = operand.type == "boolean"
        null = "literal" if value is not None else "null literal"
        sign = min(SIGNS[:2] if only_equal else SIGNS, key=lambda each: self._seen(each, operand.type, null))
        soql = f"{operand.soql} {sign} {brute.spelled(value)}"
        return self._test(sign, name, operand, value, soql, brute.compared(operand, sign, value))

    def _membership(self, name: str) -> Where:
        operand = self.operand(name, list(VALUES))
        values = [self.chance.choice([None, *VALUES[operand.type]]) for _ in range(self.chance.randint(1, 4))]
        negated = self.chance.random() < 0.5
        word = "NOT IN" if negated else "IN"
        literal = None if None in values else 1
        soql = f"{operand.soql} {word} ({', '.join(map(brute.spelled, values))})"
        return self._test(word, name, operand, literal, soql, brute.among(operand, values, negated))

    def _like(self, name: str) -> Where:
        operand = self.operand(name, ["string", "picklist", "email"])
        pieces = self.chance.choices(
            ["%", "_", "a", "B", "Ä", "\\%", "\\_", "\\\\", "\\'"], k=self.chance.randint(1, 4)
        )
        soql = f"{operand.soql} LIKE '{''.join(pieces)}'"
        return self._test("LIKE", name, operand, 1, soql, brute.alike(operand, pieces))

    def _includes(self, name: str) -> Where:
        if name not in ("Account", "Contact"):
            return self._comparison(name)
        operand = self.operand(name, ["multipicklist"])
        choices = [";".join(self.chance.sample(CHOICES, self.chance.randint(1, 2))).upper() for _ in range(2)]
        negated = self.chance.random() < 0.5
        word = "EXCLUDES" if negated else "INCLUDES"
        soql = f"{operand.soql} {word} ({', '.join(map(brute.quoted, choices))})"
        return self._test(word, name, operand, 1, soql, brute.included(operand, choices, negated))

    def _period(self, name: str) -> Where:
        if name == "User":
            return self._comparison(name)
        operand = self.operand(name, ["date", "datetime"])
        periods = _periods(self.chance.randint(1, 30))
        literal, first, last = min(periods, key=lambda each: self._seen(each[0].split(":")[0], operand.type))
        sign = self.chance.choice(SIGNS)
        soql = f"{operand.soql} {sign} {literal}"
        holds = brute.within(operand, sign, first, last)
        return self._test(literal.split(":")[0], name, operand, 1, soql, holds)

    def _function(self, name: str) -> Where:
        if name == "User":
            return self._comparison(name)
        kind = self.operand(name, ["date", "datetime"]).type
        calls = [each for each in DATE_FUNCTIONS if each != "HOUR_IN_DAY" or kind == "datetime"]
        call = min(calls, key=lambda each: self._seen(each, kind))
        operand = self.operand(name, [kind])
        part = brute.date_part(call)
        inner = operand.soql
        if kind == "datetime" and self.chance.random() < 0.2:
            inner = f"convertTimezone({inner})"  # to the asker's zone, which is UTC
            self.coverage.note("convertTimezone", kind, "-")
        asked = Asked(
            f"{call}({inner})",
            "int",
            lambda row: None if operand.get(row) is None else part(operand.get(row)),
        )
        sign = self.chance.choice(SIGNS)
        value = self.chance.choice([1, 2, 3, 5, 10, 15, 20, 2024])
        soql = f"{asked.soql} {sign} {value}"
        holds = brute.compared(asked, sign, value)
        return self._test(call, name, operand, 1, soql, holds)

    def _wrapped(self, name: str) -> Where:
        """toLabel(), convertCurrency(), DAY_ONLY() around a field."""
        call, types = self.chance.choice(
            [("toLabel", ["picklist"]), ("convertCurrency", ["currency"]), ("DAY_ONLY", ["datetime"])]
        )
        if name in ("User", "Event"):
            return self._comparison(name)
        operand = self.operand(name, types)
        get = (
            (lambda row: operand.get(row) and operand.get(row).date()) if call == "DAY_ONLY" else operand.get
        )
        asked = Asked(f"{call}({operand.soql})", "date" if call == "DAY_ONLY" else operand.type, get)
        value = self.chance.choice([None, *VALUES[asked.type]])
        sign = self.chance.choice(SIGNS)
        soql = f"{asked.soql} {sign} {brute.spelled(value)}"
        return self._test(call, name, operand, value, soql, brute.compared(asked, sign, value))

    def _ids(self, name: str) -> Where:
        """Ids and references, in 15 and 18 characters."""
        field = {"User": "ManagerId", "Account": "ParentId", "Contact": "AccountId", "Event": "WhatId"}[name]
        operand = self.chance.choice(
            [Asked("Id", "id", brute.path("Id")), Asked(field, "reference", brute.path(field))]
        )
        target = {"User": "User"}.get(name, "Account") if operand.soql != "Id" else name
        value = self.chance.choice([None, *(row["Id"] for row in self.town.rows[target])])
        sign = self.chance.choice(["=", "!="])
        written = value and value[: self.chance.choice([15, 18])]
        soql = f"{operand.soql} {sign} {brute.spelled(written)}"
        # Ids are told apart by case, so nothing is folded here.
        holds: Test = lambda row: (operand.get(row) == value) == (sign == "=")  # noqa: E731
        return self._test(sign, name, operand, value, soql, holds)

    def _join(self, name: str) -> Where:
        outer, inner, column = {
            "User": ("Id", "Contact", "OwnerId"), "Account": ("Id", "Contact", "AccountId"),
            "Contact": ("AccountId", "Account", "Id"), "Event": ("WhatId", "Account", "ParentId"),
        }[name]  # fmt: skip
        within = self.condition(inner, 0)
        negated = self.chance.random() < 0.5
        word = "NOT IN" if negated else "IN"
        found = {row[column] for row in self.town.living(inner) if within.holds(row)} - {None}
        operand = Asked(outer, "id" if outer == "Id" else "reference", brute.path(outer))
        soql = f"{outer} {word} (SELECT {column} FROM {inner} WHERE {within.soql})"
        production = "anti-join" if negated else "semi-join"
        return self._test(production, name, operand, 1, soql, lambda row: (row[outer] in found) != negated)

    def _polymorphic(self, name: str) -> Where:
        if name != "Event":
            return self._comparison(name)
        relation, type_ = self.chance.choice([("What", "Account"), ("Who", "Contact")])
        if self.chance.random() < 0.5:
            operand = Asked(f"{relation}.Type", "string", lambda row: row[relation] and row[relation]["#"])
            value: Any = self.chance.choice(["Account", "contact", "Lead", None])
        else:
            label = "Name" if type_ == "Account" else "Email"
            operand = Asked(f"{relation}.{label}", "string", brute.path(relation, label))
            value = self.chance.choice([None, *TEXTS])
        sign = self.chance.choice(SIGNS[:2])
        soql = f"{operand.soql} {sign} {brute.spelled(value)}"
        return self._test(
            "polymorphic path", name, operand, value, soql, brute.compared(operand, sign, value)
        )


def _periods(count: int) -> list[tuple[str, datetime.date, datetime.date]]:
    """Date literals around NOW, a Wednesday: written down by hand, not computed as the translator does."""
    d, today, one = datetime.date, NOW.date(), datetime.timedelta(days=1)
    sunday = d(2024, 5, 12)
    return [
        ("YESTERDAY", today - one, today - one), ("TODAY", today, today), ("TOMORROW", today + one, today + one),
        ("LAST_WEEK", sunday - 7 * one, sunday - one), ("THIS_WEEK", sunday, sunday + 6 * one),
        ("NEXT_WEEK", sunday + 7 * one, sunday + 13 * one),
        ("LAST_MONTH", d(2024, 4, 1), d(2024, 4, 30)), ("THIS_MONTH", d(2024, 5, 1), d(2024, 5, 31)),
        ("NEXT_MONTH", d(2024, 6, 1), d(2024, 6, 30)), ("LAST_90_DAYS", d(2024, 2, 15), today),
        ("NEXT_90_DAYS", today + one, d(2024, 8, 13)), ("LAST_QUARTER", d(2024, 1, 1), d(2024, 3, 31)),
        ("THIS_QUARTER", d(2024, 4, 1), d(2024, 6, 30)), ("NEXT_QUARTER", d(2024, 7, 1), d(2024, 9, 30)),
        ("LAST_YEAR", d(2023, 1, 1), d(2023, 12, 31)), ("THIS_YEAR", d(2024, 1, 1), d(2024, 12, 31)),
        ("NEXT_YEAR", d(2025, 1, 1), d(2025, 12, 31)),
        ("LAST_FISCAL_QUARTER", d(2024, 1, 1), d(2024, 3, 31)),
        ("THIS_FISCAL_QUARTER", d(2024, 4, 1), d(2024, 6, 30)),
        ("NEXT_FISCAL_QUARTER", d(2024, 7, 1), d(2024, 9, 30)), ("LAST_FISCAL_YEAR", d(2023, 1, 1), d(2023, 12, 31)),
        ("THIS_FISCAL_YEAR", d(2024, 1, 1), d(2024, 12, 31)), ("NEXT_FISCAL_YEAR", d(2025, 1, 1), d(2025, 12, 31)),
        (f"LAST_N_DAYS:{count}", today - count * one, today),
        (f"NEXT_N_DAYS:{count}", today + one, today + count * one),
        (f"N_DAYS_AGO:{count}", today - count * one, today - count * one),
        (f"LAST_N_WEEKS:{count}", sunday - 7 * count * one, sunday - one),
        (f"NEXT_N_WEEKS:{count}", sunday + 7 * one, sunday + (7 * count + 6) * one),
        (f"N_WEEKS_AGO:{count}", sunday - 7 * count * one, sunday - (7 * count - 6) * one),
        ("LAST_N_MONTHS:5", d(2023, 12, 1), d(2024, 4, 30)), ("NEXT_N_MONTHS:8", d(2024, 6, 1), d(2025, 1, 31)),
        ("N_MONTHS_AGO:5", d(2023, 12, 1), d(2023, 12, 31)), ("LAST_N_QUARTERS:2", d(2023, 10, 1), d(2024, 3, 31)),
        ("NEXT_N_QUARTERS:2", d(2024, 7, 1), d(2024, 12, 31)), ("N_QUARTERS_AGO:2", d(2023, 10, 1), d(2023, 12, 31)),
        ("LAST_N_YEARS:2", d(2022, 1, 1), d(2023, 12, 31)), ("NEXT_N_YEARS:2", d(2025, 1, 1), d(2026, 12, 31)),
        ("N_YEARS_AGO:1", d(2023, 1, 1), d(2023, 12, 31)),
        ("LAST_N_FISCAL_QUARTERS:2", d(2023, 10, 1), d(2024, 3, 31)),
        ("NEXT_N_FISCAL_QUARTERS:2", d(2024, 7, 1), d(2024, 12, 31)),
        ("N_FISCAL_QUARTERS_AGO:1", d(2024, 1, 1), d(2024, 3, 31)),
        ("LAST_N_FISCAL_YEARS:1", d(2023, 1, 1), d(2023, 12, 31)),
        ("NEXT_N_FISCAL_YEARS:2", d(2025, 1, 1), d(2026, 12, 31)),
        ("N_FISCAL_YEARS_AGO:1", d(2023, 1, 1), d(2023, 12, 31)),
    ]  # fmt: skip
