"""List views: every record of an object, and the caller's own, as programs offer them to a person to choose from."""

from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_api.queries import page_rows
from crmsync.state.replica import faults, ids
from crmsync.state.replica.metadata import Field, ObjectType, Schema
from crmsync.state.replica.querying import Queries

__all__ = ["ListViews"]

MOST = 2_000
USUAL = 25
COLUMNS = 6
SEARCHED = ("string", "picklist", "phone", "email", "date", "datetime", "currency")


class ListViews:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, schema: Schema, queries: Queries) -> None:
        self._schema, self._queries = schema, queries

    def all(self, call: Call, object: str) -> Reply:
        type_ = self._type(object)
        views = [_shown(call, type_, number, name, label) for number, name, label in _views(type_)]
        content = {"done": True, "listviews": views, "nextRecordsUrl": None, "size": len(views)}
        return Reply(200, {**content, "sobjectType": type_.name})

    def one(self, call: Call, object: str, id: str) -> Reply:
        type_ = self._type(object)
        return Reply(200, _shown(call, type_, *_view(type_, id)))

    def describe(self, call: Call, object: str, id: str) -> Reply:
        type_ = self._type(object)
        number, _, _ = _view(type_, id)
        name = type_.name_field
        content = {
            "columns": [_column(field) for field in _columns(type_)],
            "id": _id(type_, number),
            "orderBy": [{"fieldNameOrPath": name, "nullsPosition": "first", "sortDirection": "ascending"}],
            "query": _query(type_, number),
            "relatedEntityId": None,
            "scope": "mine" if number else "everything",
            "scopeEntityId": None,
            "sobjectType": type_.name,
            "whereCondition": {"conditions": [], "conjunction": "and"},
        }
        return Reply(200, content)

    def results(self, call: Call, object: str, id: str) -> Reply:
        """A page of `limit` rows from `offset` on."""
        type_ = self._type(object)
        number, name, label = _view(type_, id)
        limit, offset = (
            min(_number(call, key, usual), MOST) for key, usual in (("limit", USUAL), ("offset", 0))
        )
        text = f"{_query(type_, number)} LIMIT {limit} OFFSET {offset}"
        rows = page_rows(self._queries.query(call.caller, text, call.base))
        content = {
            "columns": [_column(field) for field in _columns(type_)],
            "developerName": name,
            "done": True,
            "id": _id(type_, number),
            "label": label,
            "records": [{"columns": _cells(type_, row)} for row in rows],
            "size": len(rows),
        }
        return Reply(200, content)

    def explained(self, id: str) -> str | None:
        """The statement of a list view, for `query?explain=`; None when that is no list view."""
        if not (ids.is_valid(id) and id.startswith("00B")):
            return None
        for type_ in self._schema:
            for number, _, _ in _views(type_):
                if ids.to_18(id) == _id(type_, number):
                    return _query(type_, number)
        raise faults.not_found()

    def _type(self, name: str) -> ObjectType:
        type_ = self._schema.find(name)
        if type_ is None:
            raise faults.not_found()
        return type_


def _views(type_: ObjectType) -> list[tuple[int, str, str]]:
    every = (0, f"All{type_.plural.replace(' ', '')}", f"All {type_.plural}")
    own = (1, f"My{type_.plural.replace(' ', '')}", f"My {type_.plural}")
    return [every, own] if type_.owned else [every]


def _view(type_: ObjectType, id: str) -> tuple[int, str, str]:
    wanted = ids.to_18(id) if ids.is_valid(id) else ""
    for view in _views(type_):
        if wanted == _id(type_, view[0]):
            return view
    raise faults.not_found()


def _id(type_: ObjectType, number: int) -> str:
    digits = sum(ord(each) * 128**place for place, each in enumerate(reversed(type_.prefix)))
    return ids.new_id("00B", digits * 100 + number)


def _shown(call: Call, type_: ObjectType, number: int, name: str, label: str) -> dict[str, Any]:
    id_ = _id(type_, number)
    url = f"{call.base}/sobjects/{type_.name}/listviews/{id_}"
    return {
        "describeUrl": f"{url}/describe",
        "developerName": name,
        "id": id_,
        "label": label,
        "resultsUrl": f"{url}/results",
        "soqlCompatible": True,
        "url": url,
    }


def _columns(type_: ObjectType) -> list[Field]:
    """The name, and what else says most in a line."""
    name = type_.by_name[type_.name_field.casefold()]
    others = [
        field
        for field in type_.fields
        if field is not name and field.type in SEARCHED and field.sortable and not field.compound
    ]
    return [name, *others[: COLUMNS - 1]]


def _column(field: Field) -> dict[str, Any]:
    return {
        "ascendingLabel": None,
        "descendingLabel": None,
        "fieldNameOrPath": field.name,
        "hidden": False,
        "label": field.label,
        "searchable": False,
        "selectListItem": field.name,
        "sortDirection": "ascending" if field.name_field else None,
        "sortIndex": 0 if field.name_field else None,
        "sortable": field.sortable,
        "type": field.type,
    }


def _query(type_: ObjectType, number: int) -> str:
    names = ", ".join(dict.fromkeys((*(field.name for field in _columns(type_)), "Id")))
    scope = " USING SCOPE mine" if number else ""
    return f"SELECT {names} FROM {type_.name}{scope} ORDER BY {type_.name_field} ASC NULLS FIRST, Id"


def _cells(type_: ObjectType, row: dict[str, Any]) -> list[dict[str, Any]]:
    names = dict.fromkeys((*(field.name for field in _columns(type_)), "Id"))
    return [{"fieldNameOrPath": name, "value": _text(row.get(name))} for name in names]


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default
