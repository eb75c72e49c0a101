"""The objects of a replica as its web services know them: in the words of the upstream's own describes."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from crmsync.state.replica.local.shape import Shapes, stored
from crmsync.state.replica.metadata import ADDRESS_PARTS, Child, Field, ObjectType, Schema

__all__ = ["Described"]


class Described(Schema):
    """Relationships come from the describes, and a field has the name and the rule that its parent gives it."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        super().__init__(_shown(type_) for type_ in shapes)

    def told(self, name: str) -> Mapping[str, Any] | None:
        return self._shapes.replies.get(name)

    def _find_children(self, name: str) -> Iterator[Child]:
        rules = {(edge.child, edge.field): edge.rule for edge in self._shapes.children(name)}
        for given in self._shapes.replies[name].get("childRelationships") or ():
            child, reference = str(given.get("childSObject")), str(given.get("field"))
            type_ = self.objects.get(child)
            field = type_.find(reference) if type_ else None
            if field is not None:
                called = given.get("relationshipName")
                rule = rules.get((child, reference), "clear")
                yield Child(child, dataclasses.replace(field, children=called, on_delete=rule))


def _shown(type_: ObjectType) -> ObjectType:
    """Without files and places, which are not kept here, and addresses of which not all parts are."""
    kept = {f.name for f in stored(type_)}
    fields = tuple(f for f in type_.fields if f.name in kept or _whole(f, kept))
    return dataclasses.replace(type_, fields=fields, owned="OwnerId" in kept)


def _whole(field: Field, kept: set[str]) -> bool:
    prefix = field.name.removesuffix("Address")
    return field.type == "address" and all(prefix + part in kept for part, _, _ in ADDRESS_PARTS)
