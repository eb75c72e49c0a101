import datetime
import json
import os
from decimal import Decimal
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.state.replica.soql import MalformedQuery, SoqlError, ast, parse
from crmsync.state.replica.soql.ast import And, Compare, Number, Operator, Path, Text

SHARED = os.environ.get("CRMSYNC_SHARED")


def statements(name: str) -> list[str]:
    if SHARED is None:
        return []
    cases: list[dict[str, Any]] = json.loads((File(SHARED) / "soql" / name).read_text(encoding="utf-8"))
    return [case["soql"] for case in cases]


def where(condition: str) -> ast.Condition:
    found = parse(f"SELECT Id FROM Account WHERE {condition}").where
    assert found is not None
    return found


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
@pytest.mark.parametrize("soql", statements("valid.json"))
def test_statements_that_other_grammars_accept(soql: str) -> None:
    assert parse(soql).text == soql


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
@pytest.mark.parametrize("soql", statements("invalid.json"))
def test_statements_that_other_grammars_refuse(soql: str) -> None:
    with pytest.raises(MalformedQuery) as refused:
        parse(soql)
    assert (refused.value.row, refused.value.column) > (1, 1)


def test_a_statement_with_every_clause() -> None:
    query = parse(
        "SELECT c.Name, Account.Name, (SELECT Id FROM Events LIMIT 1) FROM Contact c USING SCOPE mine "
        "WHERE Name = 'x' WITH USER_MODE ORDER BY Name DESC NULLS LAST, Id LIMIT 5 OFFSET 2 FOR REFERENCE"
    )
    assert query == ast.Query(
        selected=(
            ast.Column(Path(("c", "Name"))),
            ast.Column(Path(("Account", "Name"))),
            ast.Subselect(ast.Query((ast.Column(Path(("Id",))),), (ast.Source(Path(("Events",))),), limit=1)),
        ),
        sources=(ast.Source(Path(("Contact",)), "c"),),
        scope="mine",
        where=Compare(Path(("Name",)), Operator.EQUAL, Text("x")),
        with_=ast.WithMode("USER_MODE"),
        order=(ast.Order(Path(("Name",)), descending=True, nulls_last=True), ast.Order(Path(("Id",)))),
        limit=5,
        offset=2,
        views=("REFERENCE",),
    )


def test_groups() -> None:
    query = parse("SELECT Name n, COUNT(Id) FROM Account GROUP BY ROLLUP(Name) HAVING count(Id) > 1")
    counted = ast.Call("COUNT", (Path(("Id",)),))
    assert query.selected == (ast.Column(Path(("Name",)), "n"), ast.Column(counted))
    assert query.group == ast.Rollup((Path(("Name",)),))
    assert query.having == Compare(counted, Operator.GREATER, Number(Decimal(1)))


def test_words_are_keywords_only_where_the_grammar_has_them() -> None:
    query = parse(
        "SELECT Format, Order, Max(View) max FROM Group WHERE End = 1 AND From.Where.Select = 2 ORDER BY Offset"
    )
    assert query.selected[0] == ast.Column(Path(("Format",)))
    assert query.sources == (ast.Source(Path(("Group",))),)
    assert isinstance(query.where, And)
    assert query.order == (ast.Order(Path(("Offset",))),)


@pytest.mark.parametrize("alias", ["group", "order", "offset"])
def test_a_word_that_begins_a_clause_can_be_an_alias(alias: str) -> None:
    query = parse(f"SELECT Id FROM Account {alias} WHERE {alias}.Id = null GROUP BY Id ORDER BY Id OFFSET 1")
    assert query.sources == (ast.Source(Path(("Account",)), alias),)
    assert (query.group, query.offset) == (ast.GroupBy((Path(("Id",)),)), 1)


def test_operators_with_a_space_in_them() -> None:
    assert where("a > = 1") == where("a >= 1")
    assert where("a ! = 1") == where("a <> 1")
    assert where("a = - 1") == where("a = -1")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'it\\'s'", Text("it's")),
        ("'a\\n\\\\b\\u00e9'", Text("a\n\\bé")),
        ("'\\ud83d\\ude00'", Text("😀")),
        ("'50\\%'", Text("50%")),
        ("-1.5", Number(Decimal("-1.5"))),
        ("USD5000.50", ast.Money("USD", Decimal("5000.50"))),
        ("true", ast.Truth(True)),
        ("NULL", ast.Null()),
        ("2024-02-29", ast.Day(datetime.date(2024, 2, 29))),
        ("2024-01-02T03:04:05Z", ast.Moment(datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC))),
        (
            "2024-01-02T03:04:05.25+02:00",
            ast.Moment(datetime.datetime(2024, 1, 2, 1, 4, 5, 250000, datetime.UTC)),
        ),
        ("2024-01-02T03:04:05-0100", ast.Moment(datetime.datetime(2024, 1, 2, 4, 4, 5, tzinfo=datetime.UTC))),
        ("12:30:00.000Z", ast.Clock(datetime.time(12, 30))),
        ("today", ast.Relative("TODAY")),
        ("last_n_days:7", ast.Relative("LAST_N_DAYS", 7)),
    ],
)
def test_literals(written: str, meant: ast.Literal) -> None:
    assert where(f"Name = {written}") == Compare(Path(("Name",)), Operator.EQUAL, meant)


def test_a_like_pattern_keeps_what_guards_its_wildcards() -> None:
    found = where("Name LIKE '100\\% _\\\\'")
    assert isinstance(found, ast.Like)
    assert found.value == Text("100% _\\")
    assert isinstance(found.value, Text)
    assert found.value.pattern == "100\\% _\\\\"


@pytest.mark.parametrize(
    ("soql", "row", "column"),
    [
        ("", 1, 1),
        ("SELECT Id", 1, 10),
        ("SELECT Id FROM\n  Account WHERE", 2, 16),
        ("SELECT Id FROM Account WHERE a = 1 OR b = 2 AND c = 3", 1, 45),
        ("SELECT Id FROM Account WHERE a = 1 ANDb = 2", 1, 39),
        ("SELECT Id FROM Account WHERE a = 'x", 1, 34),
        ("SELECT Id FROM Account WHERE a = '\\q'", 1, 34),
        ("SELECT Id FROM Account WHERE a = '\\ud83d'", 1, 34),
        ("SELECT Id FROM Account WHERE a = '\\u0000'", 1, 34),
        ("SELECT Id FROM Account WHERE a = 2024-02-30", 1, 34),
        ("SELECT Id FROM Account WHERE a = 2024-02-30T00:00:00Z", 1, 34),
        ("SELECT Id FROM Account WHERE a = 0001-01-01T00:00:00+23:00", 1, 34),
        ("SELECT Id FROM Account WHERE a = SOMEDAY", 1, 34),
        ("SELECT Id FROM Account WHERE a = TODAY:3", 1, 34),
        ("SELECT Id FROM Account WHERE a IN ()", 1, 36),
        ("SELECT Id FROM Account WHERE a IN :ids", 1, 35),
        ("SELECT Id FROM Account LIMIT 1.5", 1, 30),
        ("SELECT Id FROM Account LIMIT -1", 1, 30),
        ("SELECT FIELDS(SOME) FROM Account", 1, 8),
        ("SELECT Id FROM Account FOR UPDATE", 1, 28),
        ("SELECT Id FROM Account ALL ROWS", 1, 28),
        ("SELECT Id /* no */ FROM Account", 1, 11),
        ("SELECT Id FROM Account WITH Name LIKE 'x'", 1, 34),
        ("SELECT Select FROM Account", 1, 8),
        ("SELECT Id FROM Account Where", 1, 29),
        ("SELECT Account . Name FROM Contact", 1, 16),
        ("SELECT Id FROM Account WHERE a = 1 AND NOT b = 2", 1, 40),
        ("SELECT Id FROM Account WHERE NOT a = 1 AND b = 2", 1, 40),
        ("SELECT Id FROM Account WHERE x IN (SELECT a FROM b LIMIT 1)", 1, 36),
        ("SELECT FORMAT(toLabel(convertCurrency(a))) FROM Account", 1, 8),
        ("SELECT Id FROM Account FOR VIEW, REFERENCE", 1, 32),
        ("SELECT TYPEOF a WHEN b THEN FIELDS(ALL) END FROM Account", 1, 35),
        ("SELECT Id FROM Account USING SCOPE view", 1, 36),
    ],
)
def test_a_refusal_says_where(soql: str, row: int, column: int) -> None:
    with pytest.raises(MalformedQuery) as refused:
        parse(soql)
    assert (refused.value.row, refused.value.column) == (row, column)
    assert f"ERROR at Row:{row}:Column:{column}\n" in refused.value.message


def test_a_refusal_shows_the_line_and_points_at_it() -> None:
    with pytest.raises(MalformedQuery) as refused:
        parse("SELECT Id\nFROM Account Account2 Account3")
    assert refused.value.message == (
        "\nFROM Account Account2 Account3\n"
        "                      ^\n"
        "ERROR at Row:2:Column:23\n"
        "unexpected token: 'Account3'"
    )


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT Id FROM A WHERE " + "(" * 10_000,
        "SELECT Id FROM A WHERE " + "NOT " * 10_000 + "b = 1",
        "SELECT Id FROM A WHERE " + "f(" * 10_000,
        "SELECT " + "(SELECT " * 10_000,
        "SELECT Id FROM A WHERE b IN (" + "1," * 20_000 + "1)",
        "SELECT Id FROM A WHERE b = " + "9" * 65,
        "SELECT Id FROM A ORDER BY " + "b," * 32 + "b",
        "SELECT " + "b," * 1_000 + "b FROM A",
        "SELECT Id FROM A LIMIT " + "9" * 100,
        "SELECT Id FROM A" + " " * 100_000,
    ],
)
def test_a_statement_without_measure_is_refused(soql: str) -> None:
    with pytest.raises(MalformedQuery):
        parse(soql)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "SELECT ",
                "Id",
                "FROM ",
                " WHERE ",
                "(",
                ")",
                ",",
                ".",
                "'",
                "\\",
                "1",
                "=",
                ":",
                "\n",
                "ſ",
                "\ud800",
                "é",
                "NOT ",
                "-",
                "2024-01-01",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_whatever_comes_is_a_query_or_a_refusal(text: str) -> None:
    outcome = outcome_of(text)
    assert isinstance(outcome, ast.Query) or (outcome.row >= 1 and outcome.column >= 1)


def outcome_of(text: str) -> ast.Query | SoqlError:
    try:
        return parse(text)
    except SoqlError as refused:
        return refused
