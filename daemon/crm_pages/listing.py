"""The records of one object, a page at a time; and a search over all objects."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from crmsync.daemon.crm_pages import lists, shapes
from crmsync.daemon.crm_pages.cells import rows
from crmsync.daemon.crm_pages.desk import Refused
from crmsync.daemon.crm_pages.lists import Edge, Wanted
from crmsync.daemon.crm_pages.shapes import Field, Shape
from crmsync.daemon.crm_pages.site import Site, Visit
from crmsync.state.replica import ids

__all__ = ["Listing"]

FOUND = 25  # of each object


class Listing:
    def __init__(self, site: Site) -> None:
        self._site = site

    def page(self, visit: Visit) -> Response:
        shape = visit.shape()
        wanted = _wanted(visit, shape)
        found = visit.desk.query(lists.soql(wanted))
        more, records = len(found) > lists.SIZE, found[: lists.SIZE]
        if wanted.backward:
            records.reverse()
        columns = shape.columns()
        return self._site.show(
            "list.html",
            visit,
            shape=shape,
            wanted=wanted,
            views=lists.VIEWS if shape.owned else lists.VIEWS[1:],
            columns=[_Column(each, wanted) for each in columns],
            rows=rows(visit.desk, columns, records, shape.name_field, visit.zone),
            total=visit.desk.count(lists.counted(wanted)),
            parent=_parent(visit, wanted),
            after=_next(wanted, records, more),
            before=_previous(wanted, records, more),
            done="It is deleted." if visit.asked("done") == "deleted" else "",
            address=lambda **changed: _address(wanted, **changed),
        )

    def search(self, visit: Visit) -> Response:
        words = visit.asked("q").strip()[:200]
        groups: list[dict[str, Any]] = []
        sentence = ""
        if words:
            try:
                groups = self._found(visit, words)
            except Refused as error:
                sentence = str(error)
        return self._site.show(
            "search.html", visit, words=words, groups=groups, sentence=sentence, most=FOUND
        )

    def _found(self, visit: Visit, words: str) -> list[dict[str, Any]]:
        """By the beginnings of words, as people look for names."""
        wanted = " ".join(
            each if each.endswith("*") or len(each) < 2 else f"{each}*" for each in words.split()
        )
        asked = [visit.desk.shape(kind.name) for kind in shapes.tabs(visit.desk.kinds()) if kind.searchable]
        objects = [
            {"name": s.kind.name, "fields": ["Id", *(f.name for f in s.columns())], "limit": FOUND}
            for s in asked
        ]
        found: dict[str, list[dict[str, Any]]] = {}
        for record in visit.desk.search({"q": wanted, "sobjects": objects}):
            found.setdefault(record["attributes"]["type"], []).append(record)
        return [_group(visit, s, found[s.kind.name]) for s in asked if s.kind.name in found]


def _group(visit: Visit, shape: Shape, records: list[dict[str, Any]]) -> dict[str, Any]:
    columns = shape.columns()
    made = rows(visit.desk, columns, records, shape.name_field, visit.zone)
    return {"kind": shape.kind, "columns": [f.shown_as for f in columns], "rows": made}


class _Column:
    """A heading: what it says, and what a click on it asks for."""

    def __init__(self, field: Field, wanted: Wanted) -> None:
        self.label = field.shown_as
        self.sorted = "" if field.name != wanted.sort.name else "descending" if wanted.down else "ascending"
        down = not wanted.down if self.sorted else False
        self.href = _address(wanted, sort=field.name, down="1" if down else "") if field.sortable else None


def _wanted(visit: Visit, shape: Shape) -> Wanted:
    view = visit.asked("show") or ("owned" if shape.owned else "all")
    given = shape.fields.get(visit.asked("sort"))
    recent = shape.fields.get("LastModifiedDate") if view == "recent" else None
    sort = given if given and given.sortable else recent or shape.fields[shape.name_field]
    down = visit.asked("down") == "1" if given else recent is not None
    field, parent = visit.asked("of"), visit.asked("is")
    related = field in shape.fields and shape.fields[field].type == "reference" and ids.is_valid(parent)
    begins = visit.asked("after") or visit.asked("before")
    edge = Edge(visit.asked("value") if "value" in visit.request.query_params else None, begins)
    return Wanted(
        shape,
        view if view in lists.VIEWS else "all",
        visit.user,
        sort,
        down,
        edge if ids.is_valid(begins) else None,
        backward=bool(visit.asked("before")),
        parent=(field, ids.to_18(parent)) if related else None,
    )


def _address(wanted: Wanted, **changed: str) -> str:
    """Of the same list from its beginning, but for what is changed."""
    fields = {"show": wanted.view, "sort": wanted.sort.name, "down": "1" if wanted.down else ""}
    if wanted.parent:
        fields |= {"of": wanted.parent[0], "is": wanted.parent[1]}
    if "show" in changed:
        fields |= {"sort": "", "down": ""}
    kept = {name: value for name, value in {**fields, **changed}.items() if value or name == "value"}
    return f"/crm/{wanted.shape.kind.name}?{urlencode(kept)}"


def _beside(wanted: Wanted, row: dict[str, Any], which: str) -> str:
    edge = lists.edge_of(wanted, row)
    value = {} if edge.value is None else {"value": edge.value}
    return _address(wanted, **{which: edge.id}, **value)


def _next(wanted: Wanted, records: list[dict[str, Any]], more: bool) -> str | None:
    there = wanted.backward or more
    return _beside(wanted, records[-1], "after") if records and there else None


def _previous(wanted: Wanted, records: list[dict[str, Any]], more: bool) -> str | None:
    there = more if wanted.backward else wanted.after is not None
    return _beside(wanted, records[0], "before") if records and there else None


def _parent(visit: Visit, wanted: Wanted) -> tuple[str, str] | None:
    if wanted.parent is None:
        return None
    record_id = wanted.parent[1]
    return record_id, visit.desk.names([record_id]).get(record_id, record_id)
