"""`search` (SOSL) and `parameterizedSearch`, which asks for the same without a language."""

from collections.abc import Mapping
from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.metadata import fold
from crmsync.state.replica.querying import answered
from crmsync.state.replica.searching import Searches, parameterized
from crmsync.state.replica.store import Store

__all__ = ["SearchHandlers"]

GROUPS = ("ALL", "NAME", "EMAIL", "PHONE", "SIDEBAR")


class SearchHandlers:
    """Handlers; each takes the call."""

    def __init__(self, searches: Searches, store: Store) -> None:
        self._searches, self._store = searches, store

    def search(self, call: Call) -> Reply:
        text = call.query.get("q")
        if not text:
            raise Fault("MALFORMED_SEARCH", "A search string has to be specified, as the parameter q")
        return Reply(200, {"searchRecords": self._searches.search(call.caller, text, call.base)})

    def parameterized(self, call: Call) -> Reply:
        """GET ?q=word&sobject=Account&Account.fields=id,name&Account.limit=10&fields=id&in=NAME"""
        query = {name.lower(): value for name, value in call.query.items()}
        shared = _listed(query.get("fields"))
        objects = [
            {
                "name": name,
                "fields": _listed(query.get(f"{name.lower()}.fields")) or shared,
                "limit": query.get(f"{name.lower()}.limit", query.get("defaultlimit")),
                "where": query.get(f"{name.lower()}.where"),
            }
            for name in _listed(query.get("sobject")) or []
        ]
        asked = {"q": query.get("q"), "in": query.get("in"), "overallLimit": query.get("overalllimit")}
        return self._answer(call, asked, objects)

    def parameterized_body(self, call: Call) -> Reply:
        """POST {"q", "in", "fields", "sobjects": [{"name", "fields", "where", "limit"}], "overallLimit"}"""
        body = call.body_object()
        objects = body.get("sobjects") or []
        if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
            raise Fault("JSON_PARSER_ERROR", "sobjects must be a list of objects")
        shared = {"fields": body.get("fields"), "limit": body.get("defaultLimit")}
        return self._answer(call, body, [{**shared, **each} for each in objects])

    def _answer(self, call: Call, asked: Mapping[str, Any], objects: list[dict[str, Any]]) -> Reply:
        for each in objects:
            each["name"] = self._store.object_type(str(each.get("name"))).name
            each["fields"] = _names(each.get("fields"))
            each["limit"] = _number(each.get("limit"))
        group = str(asked.get("in") or "ALL").upper()
        if group not in GROUPS:
            raise Fault("MALFORMED_SEARCH", f"in must be one of {', '.join(GROUPS)}")
        search = parameterized(str(asked.get("q") or ""), objects, group, _number(asked.get("overallLimit")))
        with answered():
            found = self._searches.find(call.caller, search, call.base)
        return Reply(200, {"searchRecords": found})


def _listed(value: str | None) -> list[str] | None:
    return None if value is None else [each.strip() for each in value.split(",") if each.strip()]


def _names(value: Any) -> list[str]:
    names = [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise Fault("JSON_PARSER_ERROR", "fields must be a list of strings")
    return list(
        {fold(each): each for each in names}.values()
    )  # a field that is asked for twice is shown once


def _number(value: Any) -> int | None:
    try:
        return None if value is None else max(0, int(value))
    except (TypeError, ValueError):
        raise Fault("MALFORMED_SEARCH", "a limit must be a number") from None
