"""`quickActions`: a record made beside the one that somebody looks at, and process rules, of which there are none.

REST API Developer Guide, "Quick Actions" and "Process Rules". An action knows its context by the context's id: the
first of the references below that may lead to such a record leads to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica import faults
from crmsync.state.replica.faults import Fault, Rejected
from crmsync.state.replica.layouts import layout_of
from crmsync.state.replica.metadata import ObjectType, fold
from crmsync.state.replica.store import Store

__all__ = ["Actions"]

_TO_THE_CONTEXT = ("WhoId", "WhatId", "AccountId", "ContactId")


@dataclass(frozen=True, slots=True)
class _Action:
    name: str
    label: str
    target: str
    type: str = "Create"
    values: dict[str, str] = field(default_factory=dict)


_CALL = {"Subject": "Call", "TaskSubtype": "Call", "Status": "Completed"}
_ACTIONS = (
    _Action("LogACall", "Log a Call", "Task", "LogACall", _CALL),
    _Action("NewTask", "New Task", "Task"),
    _Action("NewEvent", "New Event", "Event"),
    _Action("NewContact", "New Contact", "Contact"),
    _Action("NewLead", "New Lead", "Lead"),
    _Action("NewAccount", "New Account", "Account"),
    _Action("NewOpportunity", "New Opportunity", "Opportunity"),
    _Action("NewCase", "New Case", "Case"),
)


class Actions:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, call: Call) -> Reply:
        return Reply(200, [_listed(call, each, "") for each in self._offered()])

    def all_of(self, call: Call, object: str) -> Reply:
        of = f"/sobjects/{self._type(object).name}"
        return Reply(200, [_listed(call, each, of) for each in self._offered()])

    def one(self, call: Call, action: str) -> Reply:
        return Reply(200, _listed(call, self._action(action), ""))

    def describe(self, call: Call, action: str) -> Reply:
        found = self._action(action)
        type_ = self._store.schema.objects[found.target]
        values = [{"defaultValue": value, "field": name} for name, value in found.values.items()]
        layout = layout_of(self._store.schema, type_)["layouts"][0]["editLayoutSections"]
        content = {
            **_listed(call, found, ""),
            "accessLevelRequired": None,
            "colors": [],
            "contextSobjectType": None,
            "defaultValues": values,
            "height": None,
            "iconUrl": None,
            "icons": [],
            "layout": layout[0] if layout else {},
            "miniIconUrl": None,
            "targetParentField": None,
            "targetRecordTypeId": None,
            "targetSobjectType": type_.name,
            "width": None,
        }
        return Reply(200, content)

    def defaults(self, call: Call, action: str, context: str = "") -> Reply:
        """Every field that may be filled in, with what would stand in it."""
        found = self._action(action)
        type_ = self._store.schema.objects[found.target]
        blank = {each.name: each.default for each in type_.stored if each.createable}
        content = {**blank, **found.values, **dict(self._beside(call, type_, context))}
        return Reply(200, {"attributes": {"type": type_.name}, **content})

    def run(self, call: Call, action: str) -> Reply:
        found, body = self._action(action), call.body_object()
        context, record = body.get("contextId") or "", body.get("record") or {}
        if not isinstance(context, str) or not isinstance(record, dict):
            raise Fault("JSON_PARSER_ERROR", "contextId must be a string, and record an object")
        type_ = self._store.schema.objects[found.target]
        given = {fold(name) for name in record}
        filled = {**found.values, **dict(self._beside(call, type_, context))}
        row = {**{name: value for name, value in filled.items() if fold(name) not in given}, **record}
        outcome = self._store.create(call.caller, [(type_.name, row)])[0]
        if isinstance(outcome, Rejected):
            raise outcome.faults[0]
        content: dict[str, Any] = {"contextId": context or None, "created": True, "errors": [], "feedItemIds": [],
                   "id": outcome.id, "success": True}  # fmt: skip
        return Reply(201, content)

    def describe_of(self, call: Call, object: str, action: str) -> Reply:
        self._type(object)
        return self.describe(call, action)

    def defaults_of(self, call: Call, object: str, action: str, context: str = "") -> Reply:
        self._type(object)
        return self.defaults(call, action, context)

    def run_of(self, call: Call, object: str, action: str) -> Reply:
        self._type(object)
        return self.run(call, action)

    def process(self, call: Call) -> Reply:
        return Reply(200, {name: f"{call.base}/process/{name}" for name in ("approvals", "rules")})

    def rules(self, call: Call) -> Reply:
        return Reply(200, {"rules": {}})

    def apply_rules(self, call: Call) -> Reply:
        """To the records of `contextIds`, which have to be there: none of no rules applies."""
        ids = call.body_object().get("contextIds")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise Fault("JSON_PARSER_ERROR", "contextIds must be a list of ids")
        for each in ids:
            self._read(call, each)
        return Reply(200, {"errors": None, "success": True})

    def approvals(self, call: Call) -> Reply:
        return Reply(200, {"approvals": {}})

    def _beside(self, call: Call, type_: ObjectType, context: str) -> Iterator[tuple[str, str]]:
        if not context:
            return
        of = self._read(call, context)
        for name in _TO_THE_CONTEXT:
            reference = type_.find(name)
            if reference is not None and of.name in reference.to:
                yield reference.name, context
                return

    def _read(self, call: Call, record_id: str) -> ObjectType:
        """Its object, of a record that may be seen; raises Fault."""
        of = self._store.schema.of_id(record_id)
        if of is None:
            raise faults.malformed_id(record_id)
        self._store.read(call.caller, of.name, record_id)
        return of

    def _offered(self) -> Iterator[_Action]:
        """A replica need not have all objects."""
        return (each for each in _ACTIONS if each.target in self._store.schema.objects)

    def _action(self, name: str) -> _Action:
        found = next((each for each in self._offered() if fold(each.name) == fold(name)), None)
        if found is None:
            raise faults.not_found()
        return found

    def _type(self, name: str) -> ObjectType:
        type_ = self._store.schema.find(name)
        if type_ is None:
            raise faults.not_found()
        return type_


def _listed(call: Call, action: _Action, of: str) -> dict[str, Any]:
    path = f"{call.base}{of}/quickActions/{action.name}"
    urls = {"defaultValues": f"{path}/defaultValues", "defaultValuesTemplate": f"{path}/defaultValues/{{ID}}",
            "describe": f"{path}/describe", "quickAction": path}  # fmt: skip
    return {
        "actionEnumOrId": action.name,
        "label": action.label,
        "name": action.name,
        "type": action.type,
        "urls": urls,
    }
