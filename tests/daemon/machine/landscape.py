"""What kinds of servers stand on the two sides: each quirk is one that real ones have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmsync.connectors.contract import Kind
from crmsync.connectors.memory.traits import EVERYTHING, Traits, crm, dialled, groupware, shorten

_PEOPLE = EVERYTHING[Kind.CONTACT]


@dataclass(frozen=True, slots=True)
class Quirk:
    ecs: Mapping[str, Any] = field(default_factory=dict)
    crm: Mapping[str, Any] = field(default_factory=dict)


def _both(**traits: Any) -> Quirk:
    return Quirk(traits, traits)


QUIRKS: Mapping[str, Quirk] = {
    "the CRM has no birthdays": Quirk(
        crm={"columns": {**EVERYTHING, Kind.CONTACT: _PEOPLE - {"birthday", "anniversary"}}}
    ),
    "the CRM's companies are read only": Quirk(crm={"read_only": {Kind.CONTACT: frozenset({"company"})}}),
    "the CRM shortens text": Quirk(crm={"rewrites": {"department": shorten(7)}}),
    "the ECS shortens text": Quirk(ecs={"rewrites": {"company": shorten(7)}}),
    "the CRM rewrites phones": Quirk(crm={"rewrites": {"phone_mobile": dialled}}),
    "the ECS rewrites phones": Quirk(ecs={"rewrites": {"phone_mobile": dialled}}),
    "the ECS tells no version after a write": Quirk(ecs={"tells_version": False}),
    "the CRM tells no version after a write": Quirk(crm={"tells_version": False}),
    "what was written is read back": _both(reads_back=True),
    "the CRM knows no preconditions": Quirk(crm={"conditional": False, "reads_back": True}),
    "no tombstones on the ECS": Quirk(ecs={"tombstones": False}),
    "no tombstones in the CRM": Quirk(crm={"tombstones": False}),
    "the ECS is not incremental": Quirk(ecs={"incremental": False}),
    "the CRM is not incremental": Quirk(crm={"incremental": False}),
    "the CRM has no external id": Quirk(crm={"links": False}),
    "the CRM has no search": Quirk(crm={"searchable": False}),
    "the CRM has no rights of its own": Quirk(crm={"access": False}),
    "the CRM lists only versions": Quirk(crm={"whole_changes": False}),
    "the ECS lists whole items": Quirk(ecs={"whole_changes": True}),
    "nobody says when an item was modified": _both(tells_modified=False),
    "the ECS tells times only when asked": Quirk(ecs={"dated": True}),
    "pages and batches are tiny": _both(page=2, batch=2),
}
# What the state machine does without: it would only make it slower.
EXTREMES: Mapping[str, Quirk] = {"one item a page": _both(page=1, batch=1)}


def traits_of(quirks: Iterable[str]) -> tuple[Traits, Traits]:
    """Of the ECS servers, and of the CRM."""
    ecs: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name in sorted(quirks):
        quirk = QUIRKS.get(name) or EXTREMES[name]
        for into, more in ((ecs, quirk.ecs), (other, quirk.crm)):
            rewrites = {**into.get("rewrites", {}), **more.get("rewrites", {})}
            into.update(more)
            if rewrites:
                into["rewrites"] = rewrites
    return groupware(concurrent=True, **ecs), crm(**other)
