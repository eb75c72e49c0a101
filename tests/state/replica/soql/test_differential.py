"""Random questions about random rows: SQL answers what Python answers, on SQLite and on PostgreSQL.

`CRMSYNC_SOQL_QUERIES=20000` asks more of them, `CRMSYNC_SOQL_SEED=2` others. A difference is printed with its seed.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine

from crmsync.state.replica.soql import dates
from tests.state.replica.conftest import empty_schema
from tests.state.replica.soql.brute import Coverage
from tests.state.replica.soql.questions import DATE_FUNCTIONS, Town
from tests.state.replica.soql.statements import Statement, Statements, bare, same
from tests.state.replica.soql.world import World, catalog, opened

QUERIES = int(os.environ.get("CRMSYNC_SOQL_QUERIES", "400"))
SEED = int(os.environ.get("CRMSYNC_SOQL_SEED", "1"))
OF_ONE_TOWN = 40
ENOUGH = 5_000  # queries in which every production meets every type

# Each of these must have met all of its types; those of CONDITIONS with null and not, in rows and as the literal.
TEXT, NUMBERS, DATES = ("string", "picklist", "email"), ("int", "double", "currency"), ("date", "datetime")
ALL = (*TEXT, *NUMBERS, *DATES)
CONDITIONS = {
    ("=", "!=", "IN", "NOT IN"): (*ALL, "boolean"),
    ("<", "<=", ">", ">="): ALL,
}
NEEDED = {
    **CONDITIONS,
    ("=", "!=", "semi-join", "anti-join"): ("id", "reference"),
    ("LIKE",): TEXT,
    ("INCLUDES", "EXCLUDES"): ("multipicklist",),
    ("polymorphic path",): ("string",),
    ("NOT", "AND", "OR"): ("condition",),
    ("COUNT()", "queryAll", "child subquery", "USING SCOPE mine", "LIMIT", "OFFSET"): ("record",),
    ("TYPEOF",): ("reference",),
    ("GROUP BY", "HAVING"): ("string", "int", "boolean", "date"),
    ("ROLLUP", "CUBE"): ("string", "boolean", "picklist", "int"),
    ("COUNT", "COUNT_DISTINCT"): ALL,
    ("SUM", "AVG"): NUMBERS,
    ("MIN", "MAX"): (*NUMBERS, *DATES, "string"),
    ("ORDER BY ASC", "ORDER BY DESC"): ALL,
    ("SELECT",): (*ALL, "boolean", "multipicklist", "textarea"),
    ("SELECT of a parent",): ("string", "boolean"),
    ("FORMAT",): ("string", *NUMBERS, *DATES),
    ("FIELDS(STANDARD)",): ("record",),
    ("alias in FROM",): ("string",),
    ("path with its own object",): (*ALL, "boolean"),
    ("convertTimezone",): ("datetime",),
    ("convertCurrency",): ("currency",),
    ("toLabel",): ("picklist",),
    ("DAY_ONLY", "HOUR_IN_DAY"): ("datetime",),
    tuple(each for each in DATE_FUNCTIONS if each != "HOUR_IN_DAY"): DATES,
    tuple(dates.PERIODS | dates.COUNTED): DATES,
}
NULLS = [f"{a}, {b}" for a in ("literal", "null literal") for b in ("some rows null", "some rows not")]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else empty_schema(request.getfixturevalue("server"))


def test_sql_answers_what_python_answers(url: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    coverage = Coverage()
    with towns(url) as made:
        for number in range(QUERIES // OF_ONE_TOWN):
            ask_a_town(made, SEED * 1_000_000 + number, coverage)
    if QUERIES >= ENOUGH:
        with capsys.disabled():
            print(f"\n{QUERIES} queries without a difference\n{coverage.table()}")
        assert not missing(coverage)
    met = {production for production, _, _ in coverage.seen}
    assert not {each for productions in NEEDED for each in productions} - met


def missing(coverage: Coverage) -> list[tuple[str, ...]]:
    met = {(production, type_) for production, type_, _ in coverage.seen}
    pairs = [(p, t) for productions, types in NEEDED.items() for p in productions for t in types]
    every = [
        (p, t, n)
        for productions, types in CONDITIONS.items()
        for p in productions
        for t in types
        for n in NULLS
    ]
    return [pair for pair in pairs if pair not in met] + [each for each in every if each not in coverage.seen]


def ask_a_town(world: World, seed: int, coverage: Coverage) -> None:
    chance = random.Random(seed)
    questions = Statements(chance, Town(chance, world), coverage)
    try:
        for _ in range(OF_ONE_TOWN):
            statement = questions.any()
            found = answer(world, statement)
            assert same(found, statement.expected, statement.sorted), (
                f"town {seed}: {statement.soql} {statement.options}\nfound    {found}\nexpected {statement.expected}"
            )
    finally:
        world.connection.rollback()


def answer(world: World, statement: Statement) -> list[object]:
    if statement.soql.startswith("SELECT COUNT()"):
        return [world.count(statement.soql)]
    return [bare(each) for each in world.ask(statement.soql, **statement.options)]


@contextmanager
def towns(url: str | None) -> Iterator[World]:
    """A world whose tables are empty again after each rollback."""
    if url is None:
        with opened() as world:
            world.connection.commit()
            yield world
        return
    engine, known = create_engine(url), catalog()
    for object_ in known.objects.values():
        object_.table.create(engine)
    with engine.connect() as connection:
        yield World(connection, known)
    engine.dispose()
