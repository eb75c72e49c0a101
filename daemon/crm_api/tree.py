"""`composite/tree/X`: records and their children in one request, all or nothing (REST API, "SObject Tree")."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica.faults import Fault, Rejected
from crmsync.state.replica.metadata import ObjectType, fold
from crmsync.state.replica.store import Store

__all__ = ["Tree"]

MOST = 200
MOST_TYPES = 5
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class _Node:
    """One record: its fields without children, and the reference that makes it a child of `parent`."""

    reference: str
    type: str
    fields: Mapping[str, Any]
    parent: "_Node | None" = None
    link: str = ""


class _Failed(Exception):
    """Ends the transaction; `reference` is the record at fault."""

    def __init__(self, reference: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(reference)
        self.reference, self.faults = reference, faults


@dataclass(frozen=True, slots=True)
class Tree:
    store: Store

    def create(self, call: Call, object: str) -> Reply:
        records = call.body_object().get("records")
        if not isinstance(records, list) or not records:
            raise Fault("JSON_PARSER_ERROR", "records must be a list of objects")
        nodes = list(self._nodes(self.store.object_type(object), records, None, "", 1))
        _check(nodes)
        ids: dict[str, str] = {}
        try:
            with self.store.database.together():
                for depth in _levels(nodes):
                    self._create(call, depth, ids)
        except _Failed as failed:
            return Reply(400, {"hasErrors": True, "results": [_failed(failed)]})
        results = [{"referenceId": node.reference, "id": ids[node.reference]} for node in nodes]
        return Reply(201, {"hasErrors": False, "results": results})

    def _create(self, call: Call, nodes: list[_Node], ids: dict[str, str]) -> None:
        rows = [
            (
                node.type,
                {**node.fields, node.link: ids[node.parent.reference]} if node.parent else node.fields,
            )
            for node in nodes
        ]
        for node, outcome in zip(nodes, self.store.create(call.caller, rows), strict=True):
            if isinstance(outcome, Rejected):
                raise _Failed(node.reference, outcome.faults)
            ids[node.reference] = outcome.id

    def _nodes(
        self, type_: ObjectType, records: list[Any], parent: _Node | None, link: str, depth: int
    ) -> Iterator[_Node]:
        if depth > DEEPEST:
            raise Fault("LIMIT_EXCEEDED", f"records can be nested {DEEPEST} deep")
        for record in records:
            if not isinstance(record, dict):
                raise Fault("JSON_PARSER_ERROR", "records must be a list of objects")
            attributes = record.get("attributes") or {}
            reference = attributes.get("referenceId") if isinstance(attributes, dict) else None
            if not isinstance(reference, str) or fold(str(attributes.get("type"))) != fold(type_.name):
                what = f"each record needs attributes with the type {type_.name} and a referenceId"
                raise Fault("INVALID_INPUT", what)
            children = {k: v for k, v in record.items() if isinstance(v, dict) and "records" in v}
            fields = {k: v for k, v in record.items() if k not in children}
            node = _Node(reference, type_.name, fields, parent, link)
            yield node
            for name, below in children.items():
                yield from self._children(type_, node, name, below["records"], depth)

    def _children(
        self, type_: ObjectType, node: _Node, name: str, records: Any, depth: int
    ) -> Iterator[_Node]:
        known = (c for c in self.store.schema.children(type_.name) if c.field.children)
        child = next((c for c in known if fold(c.field.children or "") == fold(name)), None)
        if child is None or not isinstance(records, list):
            raise Fault(
                "INVALID_FIELD", f"No such relation '{name[:80]}' on entity '{type_.name}'", (name[:80],)
            )
        yield from self._nodes(
            self.store.schema.objects[child.child], records, node, child.field.name, depth + 1
        )


def _check(nodes: list[_Node]) -> None:
    if len(nodes) > MOST:
        raise Fault("LIMIT_EXCEEDED", f"at most {MOST} records are possible, these are {len(nodes)}")
    if len({node.reference for node in nodes}) < len(nodes):
        raise Fault("INVALID_INPUT", "Duplicate ReferenceId provided in the request")
    if len({node.type for node in nodes}) > MOST_TYPES:
        raise Fault("LIMIT_EXCEEDED", f"at most {MOST_TYPES} types of records are possible")


def _levels(nodes: list[_Node]) -> Iterator[list[_Node]]:
    """Parents before their children."""
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.reference] = 0 if node.parent is None else depth[node.parent.reference] + 1
    for level in range(DEEPEST):
        found = [node for node in nodes if depth[node.reference] == level]
        if found:
            yield found


def _failed(failed: _Failed) -> dict[str, Any]:
    errors = [{"statusCode": f.code, "message": f.message, "fields": list(f.fields)} for f in failed.faults]
    return {"referenceId": failed.reference, "errors": errors}
