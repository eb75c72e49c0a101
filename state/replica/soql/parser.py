"""SOQL text -> `ast.Query`, SOSL text -> `ast.Search`, by the LALR grammar in `soql.lark`."""

import dataclasses
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from crmsync.state.replica.soql.ast import Query, Search, Terms
from crmsync.state.replica.soql.build_search import SearchBuilder
from crmsync.state.replica.soql.errors import MalformedQuery

MAX_LENGTH = 100_000  # characters of a statement, Salesforce's own limit
MAX_DEPTH = 50  # parentheses within parentheses; bounds every recursion over the AST as well
MAX_COMMAS = 10_000  # bounds lists, and with them the bind parameters, of which databases allow 32,766


def parse(text: str) -> Query:
    """The statement as an AST; raises MalformedQuery with row and column of the first thing not understood."""
    query = _parsed(text, "start", "SOQL statements")
    assert isinstance(query, Query)
    return dataclasses.replace(query, text=text)


def parse_search(text: str) -> Search:
    """The same for SOSL."""
    search = _parsed(text, "search", "SOSL statements")
    assert isinstance(search, Search)
    return dataclasses.replace(search, text=text)


def parse_terms(text: str) -> Terms:
    """What would stand in the braces after FIND."""
    terms: Terms = _parsed(text, "terms", "Search terms")
    return terms


def _parsed(text: str, start: str, what: str) -> Any:
    if len(text) > MAX_LENGTH:
        raise MalformedQuery(f"{what} cannot be longer than {MAX_LENGTH} characters.")
    try:
        return _grammar().parse(text, start=start)
    except UnexpectedCharacters as error:
        sentence = f"unexpected character: {text[error.pos_in_stream or 0]!r}"
        raise MalformedQuery(sentence, error.line, error.column, text) from None
    except UnexpectedToken as error:
        raise _unexpected(error.token, text) from None
    except MalformedQuery as error:
        raise MalformedQuery(error.sentence, error.row, error.column, text) from None


@cache
def _grammar() -> Lark:
    source = files("crmsync.state.replica.soql").joinpath("soql.lark").read_text(encoding="utf-8")
    return Lark(
        source,
        parser="lalr",
        start=["start", "search", "terms"],
        transformer=SearchBuilder(parse_terms),
        postlex=_Checks(),
    )


class _Checks:
    """Looks at the tokens on their way into the parser: words stand apart, and nesting ends somewhere."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = commas = 0
        end: int | None = 0
        before, after_word = "", False
        for token in stream:
            if token.start_pos == end and after_word and _wordlike(token[0]):
                raise _refused(f"unexpected token: '{token[:40]}'", token)
            if "DOT" in (token.type, before) and token.start_pos != end:
                raise _refused("a path has no white space around its dots", token)
            depth += (token == "(") - (token == ")")
            commas += token == ","
            if depth > MAX_DEPTH:
                raise _refused(f"parentheses are nested more than {MAX_DEPTH} deep", token)
            if commas > MAX_COMMAS:
                raise _refused(f"the lists of a statement cannot be longer than {MAX_COMMAS}", token)
            end, before, after_word = token.end_pos, token.type, _wordlike(token[-1])
            yield token


def _wordlike(character: str) -> bool:
    return character.isalnum() or character == "_"


def _refused(sentence: str, token: Token, text: str = "") -> MalformedQuery:
    return MalformedQuery(sentence, token.line or 1, token.column or 1, text)


def _unexpected(token: Token, text: str) -> MalformedQuery:
    if token.type == "$END":
        return MalformedQuery("unexpected token: <EOF>", token.end_line or 1, token.end_column or 1, text)
    sentence = f"unexpected token: '{token[:40]}'"
    if token.type in ("AND", "OR"):
        sentence += "; where AND and OR meet, parentheses must say which belong together"
    return _refused(sentence, token, text)
