"""SOSL: records found by their words, through the same access, conditions and order as a query's.

Each object of RETURNING is two queries: which records have the words, and what RETURNING asks of those.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from crmsync.state.replica import soql
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.metadata import Field, ObjectType
from crmsync.state.replica.querying import Queries, answered
from crmsync.state.replica.soql import ast, terms
from crmsync.state.replica.soql.errors import InvalidType, MalformedQuery, SoqlError, Unsupported
from crmsync.state.replica.store import Store

__all__ = ["Searches", "searchable"]

MOST = 2_000  # records of one search, Salesforce's own limit
TEXTS = frozenset({"string", "textarea", "picklist", "combobox", "phone", "email", "url"})
NAMES = frozenset({"Name", "FirstName", "LastName", "Subject", "CaseNumber", "Title"})
_GROUPS = {"EMAIL": ("email",), "PHONE": ("phone",), "SIDEBAR": ("string", "phone", "email")}
# What does not change which records are found.
_HARMLESS = frozenset({"HIGHLIGHT", "SNIPPET", "SPELL_CORRECTION", "METADATA"})


def searchable(type_: ObjectType, told: Mapping[str, Any] | None = None) -> bool:
    """Whether a search without RETURNING looks at the object: as an upstream says, else at what people write."""
    if told is not None:
        return bool(told.get("searchable"))
    return type_.createable and type_.name not in ("Attachment", "EmailMessageRelation")


class Searches:
    """Safe for threads."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store, self._queries = store, queries

    def search(self, caller: Caller, text: str, base: str, *, utc: str = "+0000") -> list[dict[str, Any]]:
        """The records of all objects, in the order of RETURNING; raises Fault."""
        try:
            search = soql.parse_search(text)
        except MalformedQuery as error:
            raise Fault("MALFORMED_SEARCH", error.message) from error
        with answered():
            return self.find(caller, search, base, utc)

    def find(self, caller: Caller, search: ast.Search, base: str, utc: str = "+0000") -> list[dict[str, Any]]:
        """The same for a search that was put together elsewhere; raises SoqlError."""
        _check(search)
        most = min(MOST, MOST if search.limit is None else search.limit)
        found: list[dict[str, Any]] = []
        for returned in search.returned or self._everywhere():
            if len(found) < most:
                found += self._of(caller, search, returned, (base, utc), most - len(found))
        return found

    def _everywhere(self) -> Iterator[ast.Returned]:
        return (
            ast.Returned(each.name)
            for each in self._store.schema
            if searchable(each, self._store.schema.told(each.name))
        )

    def _of(
        self, caller: Caller, search: ast.Search, returned: ast.Returned, style: tuple[str, str], most: int
    ) -> list[dict[str, Any]]:
        asked = self._asked(search, returned)
        self._queries.check(caller, asked)  # names and types, before anything is looked for
        ids = tuple(ast.Text(each) for each in self._matching(caller, search, returned))
        if not ids:
            return []
        only = ast.In(ast.Path(("Id",)), ids)
        where = only if asked.where is None else ast.And((only, asked.where))
        limit = most if asked.limit is None else min(most, asked.limit)
        rows = self._queries.records(caller, dataclasses.replace(asked, where=where, limit=limit), *style)
        return list(rows)

    def _asked(self, search: ast.Search, returned: ast.Returned) -> ast.Query:
        if returned.listed is not None:
            raise Unsupported(f"USING {returned.listed} is not supported", text=search.text)
        source = ast.Source(ast.Path((returned.object,), returned.at))
        selected = returned.selected or (ast.Column(ast.Path(("Id",))),)
        more = {"order": returned.order, "limit": returned.limit, "offset": returned.offset}
        return ast.Query(selected, (source,), where=returned.where, text=search.text, **more)  # type: ignore[arg-type]

    def _matching(self, caller: Caller, search: ast.Search, returned: ast.Returned) -> Iterator[str]:
        type_ = self._store.schema.find(returned.object)
        if type_ is None:
            raise InvalidType(f"sObject type '{returned.object}' is not supported.", text=search.text)
        names = [field.name for field in type_.stored if _looked_at(type_, field, search.group)]
        if not names:
            return
        columns = tuple(ast.Column(ast.Path((name,))) for name in dict.fromkeys(("Id", *names)))
        near = terms.narrowed(search.terms, names)
        where = _both(near, returned.where)
        query = ast.Query(columns, (ast.Source(ast.Path((type_.name,))),), where=where)
        rows = self._queries.records(caller, query, "", long_text=True)
        # not one row more is read: a word that every record has would cost reading all of them
        yield from islice((row["Id"] for row in rows if terms.holds(search.terms, _texts(row, names))), MOST)


def _both(one: ast.Condition | None, other: ast.Condition | None) -> ast.Condition | None:
    if one is None or other is None:
        return one or other
    return ast.And((one, other))


def _texts(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [row[name] for name in names if row[name]]


def _looked_at(type_: ObjectType, field: Field, group: str) -> bool:
    if group == "NAME":
        return field.type in TEXTS and (field.name_field or field.name in NAMES)
    return field.type in _GROUPS.get(group, TEXTS)


def _check(search: ast.Search) -> None:
    for each in search.withs:
        name = each.name if isinstance(each, ast.WithFilter) else "DATA CATEGORY"
        if name not in _HARMLESS:
            raise Unsupported(f"WITH {name} is not supported", text=search.text)
    if search.updates:
        raise Unsupported("UPDATE is not supported: there are no Knowledge articles", text=search.text)


def parameterized(
    text: str, objects: Sequence[Mapping[str, Any]], group: str, limit: int | None
) -> ast.Search:
    """parameterizedSearch: `objects` are `{"name", "fields", "limit", "where"}`; raises Fault."""
    wanted = terms.plain(text)
    if wanted is None:
        raise Fault("MALFORMED_SEARCH", "q must hold a word to look for")
    return ast.Search(wanted, group, tuple(_returned(each) for each in objects), (), limit, text=text)


def _returned(wanted: Mapping[str, Any]) -> ast.Returned:
    fields = ", ".join(wanted.get("fields") or ["Id"])
    where = f" WHERE {wanted['where']}" if wanted.get("where") else ""
    limit = f" LIMIT {wanted['limit']}" if wanted.get("limit") is not None else ""
    try:
        search = soql.parse_search(f"FIND {{x}} RETURNING {wanted['name']}({fields}{where}{limit})")
    except SoqlError as error:
        raise Fault("MALFORMED_SEARCH", error.message) from error
    return search.returned[0]
