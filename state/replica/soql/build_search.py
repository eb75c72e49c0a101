"""What the parser does with the rules of SOSL; those that both languages share are `Builder`'s."""

from collections.abc import Callable
from typing import Any

from lark import Token, v_args

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.build import Builder, at, refusal
from crmsync.state.replica.soql.errors import MalformedQuery

_GROUPS = frozenset({"ALL", "NAME", "EMAIL", "PHONE", "SIDEBAR"})
LONGEST_TERMS = 10_000  # characters, Salesforce's own limit for SearchQuery
MAX_RETURNED = 20  # objects in RETURNING, Salesforce's own limit

Parse = Callable[[str], ast.Terms]


@v_args(inline=True)
class SearchBuilder(Builder):
    """`terms` parses what stands in the braces, which is a small language of its own."""

    def __init__(self, terms: Parse) -> None:
        super().__init__()
        self._terms = terms

    def search(
        self,
        find: Token,
        braces: Token,
        group: str | None,
        returned: tuple[ast.Returned, ...] | None,
        withs: tuple[ast.With, ...],
        using: None,
        limit: int | None,
        updates: tuple[str, ...] | None,
    ) -> ast.Search:
        terms = self._inside(braces)
        return ast.Search(terms, group or "ALL", returned or (), withs, limit, updates or ())

    def _inside(self, braces: Token) -> ast.Terms:
        place = at(braces)
        if len(braces) > LONGEST_TERMS:
            raise refusal(f"search terms cannot be longer than {LONGEST_TERMS} characters", place)
        try:
            return self._terms(braces[1:-1])
        except MalformedQuery as error:
            raise refusal(f"search terms: {error.sentence}", place) from None

    def in_fields(self, group: Token) -> str:
        if group.upper() not in _GROUPS:
            raise refusal(f"unexpected token: '{group}'", at(group))
        return group.upper()

    def returning(self, *returned: ast.Returned) -> tuple[ast.Returned, ...]:
        if len(returned) > MAX_RETURNED:
            raise refusal(f"RETURNING cannot list more than {MAX_RETURNED} objects", ast.START)
        return returned

    def returned(
        self, name: Token, selected: tuple[ast.Selected, ...] | None, shown: dict[str, Any] | None
    ) -> ast.Returned:
        return ast.Returned(str(name), at(name), selected or (), **(shown or {}))

    def sought(self, *selected: ast.Selected) -> tuple[ast.Selected, ...]:
        return selected

    def shown(
        self,
        where: ast.Condition | None,
        listed: str | None,
        order: tuple[ast.Order, ...] | None,
        limit: int | None,
        offset: int | None,
    ) -> dict[str, Any]:
        return {"where": where, "listed": listed, "order": order or (), "limit": limit, "offset": offset}

    def listed(self, first: Token | ast.Path, *rest: Any) -> str:
        return str(first) if isinstance(first, Token) else "LOOKUP"

    def bound(self, path: ast.Path, operator: Token, value: ast.Literal) -> None:
        _equals(operator)

    def withs(self, *withs: ast.With) -> tuple[ast.With, ...]:
        return withs

    def with_option(self, name: Token, operator: Token | None, value: ast.Literal | None) -> ast.With:
        if operator is not None:
            _equals(operator)
        return ast.WithFilter(name.upper())

    def with_options(self, name: Token, values: tuple[ast.Literal, ...]) -> ast.With:
        return ast.WithFilter(name.upper())

    def with_setting(self, name: Token, setting: Token, operator: Token, number: Token) -> ast.With:
        _equals(operator)
        return ast.WithFilter(name.upper())

    def using(self, how: Token) -> None:
        if how.upper() not in ("PHRASE", "ADVANCED"):
            raise refusal(f"unexpected token: '{how}'", at(how))

    # What stands in the braces

    def terms(self, terms: ast.Terms) -> ast.Terms:
        return terms

    def any_term(self, *parts: ast.Terms) -> ast.Terms:
        return ast.AnyTerm(parts)

    def all_terms(self, *parts: ast.Terms) -> ast.Terms:
        return ast.AllTerms(parts)

    def not_term(self, part: ast.Terms) -> ast.Terms:
        return ast.NotTerm(part)

    def word_term(self, token: Token) -> ast.Terms:
        return ast.Word(token.lower())

    def phrase_term(self, token: Token) -> ast.Terms:
        return ast.Phrase(token[1:-1].lower())


def _equals(operator: Token) -> None:
    if operator != "=":
        raise refusal(f"unexpected token: '{operator}'", at(operator))
