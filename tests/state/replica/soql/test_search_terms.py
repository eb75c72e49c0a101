"""SOSL: its grammar, and which texts a term is found in."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.state.replica.soql import MalformedQuery, ast, parse_search, terms
from crmsync.state.replica.soql.anywhere import NOT_ASCII_BUT_FOLDED_SO
from tests.state.replica.soql.world import World

SHARED = os.environ.get("CRMSYNC_SHARED")


def statements() -> list[str]:
    if SHARED is None:
        return []
    cases: list[dict[str, Any]] = json.loads((Path(SHARED) / "soql/sosl.json").read_text(encoding="utf-8"))
    return [case["sosl"] for case in cases]


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
@pytest.mark.parametrize("sosl", statements())
def test_searches_that_other_grammars_accept(sosl: str) -> None:
    assert parse_search(sosl).text == sosl


def test_a_search_with_every_clause() -> None:
    search = parse_search(
        "FIND {a} IN NAME FIELDS RETURNING Account(Id, Name WHERE Name != null ORDER BY Name LIMIT 3 OFFSET 1), Lead "
        "WITH HIGHLIGHT USING PHRASE SEARCH LIMIT 9 UPDATE VIEWSTAT"
    )
    account = ast.Returned(
        "Account",
        selected=(ast.Column(ast.Path(("Id",))), ast.Column(ast.Path(("Name",)))),
        where=ast.Compare(ast.Path(("Name",)), ast.Operator.UNEQUAL, ast.Null()),
        order=(ast.Order(ast.Path(("Name",))),),
        limit=3,
        offset=1,
    )
    returned = (account, ast.Returned("Lead"))
    withs = (ast.WithFilter("HIGHLIGHT"),)
    assert search == ast.Search(ast.Word("a"), "NAME", returned, withs, 9, ("VIEWSTAT",))


@pytest.mark.parametrize(
    ("sosl", "row", "column"),
    [
        ("FIND {}", 1, 6),
        ("FIND {a OR}", 1, 6),
        ("FIND {(a}", 1, 6),
        ("FIND {a}\nRETURNING", 2, 10),
        ("FIND {a} IN SOME FIELDS", 1, 13),
        ("FIND {a} RETURNING Account(Id WHERE)", 1, 36),
        ("FIND {a} RETURNING Account()", 1, 28),
        ("FIND {a} LIMIT x", 1, 16),
        ("FIND {a} WITH NETWORK != 'x'", 1, 23),
        ("FIND a", 1, 6),
    ],
)
def test_a_refusal_says_where(sosl: str, row: int, column: int) -> None:
    with pytest.raises(MalformedQuery) as refused:
        parse_search(sosl)
    assert (refused.value.row, refused.value.column) == (row, column)


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("joe", "Joe Smith", True),
        ("joe", "Joey", False),
        ("jo*", "Joey", True),
        ("jo?", "Joe", True),
        ("jo?", "Joey", False),
        ("*ey", "Joey", True),
        ("joe smith", "Smith, Joe", True),
        ('"joe smith"', "Smith, Joe", False),
        ('"joe smith"', "the Joe  Smith", True),
        ("joe AND NOT smith", "Joe Smith", False),
        ("joe OR anna", "Anna", True),
        ("a AND (b OR c)", "c a", True),
        ("a AND b OR c", "c", True),
        ("joe@example.com", "Joe@Example.com", True),
        ("example.com", "joe@example.com", True),
        ("joe.example", "joe@example.com", True),
        ("zoë", "ZOË", True),
        ("o\\?", "o", True),
        ("100\\%", "100 %", True),
        ("a_b", "a_b", True),
        ("a_b", "axb", False),
        ("NOT a", "b", True),
        ('"and"', "you and me", True),
        ("\\?", "?", False),
    ],
)
def test_what_a_term_is_found_in(world: World, term: str, text: str, found: bool) -> None:
    wanted = parse_search(f"FIND {{{term}}}").terms
    assert terms.holds(wanted, [text]) is found
    world.add("Contact", 1, LastName=text)
    near = terms.narrowed(wanted, ["LastName", "FirstName"])
    rows = world.asked(
        ast.Query((ast.Column(ast.Path(("Id",))),), (ast.Source(ast.Path(("Contact",))),), where=near)
    )
    assert len(rows) >= found  # the database may let through more, never less


def test_which_letters_become_those_of_ascii() -> None:
    """SQLite's LIKE is asked about these with a wildcard."""
    beyond = (chr(code) for code in range(0x80, sys.maxunicode + 1))
    become = {each for letter in beyond for each in letter.lower() if each.isascii()}
    assert become == set(NOT_ASCII_BUT_FOLDED_SO)


@pytest.mark.parametrize("word", ["kelvin", "stanbul", "i", "ELVIN"])
def test_letters_that_become_those_of_ascii_are_found(world: World, word: str) -> None:
    world.add("Contact", 1, LastName="\N{KELVIN SIGN}ELVIN İSTANBUL")
    assert terms.holds(ast.Word(word.lower()), ["\N{KELVIN SIGN}ELVIN İSTANBUL"]) is (word != "ELVIN")
    near = terms.narrowed(ast.Word(word), ["LastName", "FirstName"])
    query = ast.Query((ast.Column(ast.Path(("Id",))),), (ast.Source(ast.Path(("Contact",))),), where=near)
    assert len(world.asked(query)) == 1


WORDS = st.text(alphabet="abZ*?_% @.'\\\"ä", min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(pattern=WORDS, text=st.text(alphabet="abZ_% @.'\\ä", max_size=12))
def test_what_is_found_is_let_through(pattern: str, text: str) -> None:
    """LIKE as SQL reads it, over what the words say."""
    term = ast.Word(pattern.lower())
    if terms.holds(term, [text]):
        condition = terms.narrowed(term, ["x"])
        assert condition is None or _let_through(condition, text.lower())


def _let_through(condition: ast.Condition, text: str) -> bool:
    match condition:
        case ast.Or(parts):
            return any(_let_through(part, text) for part in parts)
        case ast.And(parts):
            return all(_let_through(part, text) for part in parts)
        case ast.Like(_, ast.Text(_, pattern)):
            return _like(pattern, text)
    raise AssertionError(condition)


def _like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(pattern[1:], text[start:]) for start in range(len(text) + 1))
    escaped = pattern[0] == "\\"
    wanted, rest = (pattern[1], pattern[2:]) if escaped else (pattern[0], pattern[1:])
    fits = bool(text) and (text[0] == wanted or (wanted == "_" and not escaped))
    return fits and _like(rest, text[1:])


def test_a_hostile_pattern_costs_nothing() -> None:
    assert not terms.holds(ast.Word("*a" * 500 + "b"), ["a" * 20_000])
