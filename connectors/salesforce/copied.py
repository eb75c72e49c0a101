"""An object of the organisation as a copy has it: what the copy lacks of it is no opinion, and never an edit."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from crmsync.connectors.contract import Record
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce.client import Row
from crmsync.connectors.salesforce.invited import FILES, INVITED, is_invited
from crmsync.connectors.salesforce.table import Table
from crmsync.connectors.salesforce.values import at

__all__ = ["CopiedTable"]

_PERSON = ("Email",)
_NEEDS: Mapping[
    str, Mapping[str, tuple[str, ...]]
] = {  # fields by object, without which a child says nothing
    INVITED: {
        "EventRelation": ("EventId", "RelationId", "Status"),
        "Contact": _PERSON,
        "Lead": _PERSON,
        "User": _PERSON,
    },
    FILES: {"Attachment": ("ParentId", "Name")},
}
_PEOPLE = ("003", "00Q", "005")  # key prefixes of those who have an address


class CopiedTable(Table):
    def lacking(self, *, narrowed: bool) -> str:
        """What the copy does not have of all that is exchanged, in words; empty: an edit of it cannot be missed.
        ``narrowed``: it was told to leave out fields of this object."""
        try:
            self.client.describe(self.name, again=True)  # which may be another one since the last outage
        except NotFound:
            return f"{self.name} does not stand in it"
        if narrowed and (missing := self.missing()):
            return f"{self.name} stands in it without {', '.join(sorted(missing))}"
        return next(self._lacking_children(), "")

    def _lacking_children(self) -> Iterator[str]:
        for child in self.children:
            for name, fields in _NEEDS[child].items():
                try:
                    known = self.client.describe(name, again=True)
                except NotFound:
                    yield f"{name} does not stand in it"
                    continue
                if missing := [field for field in fields if not known.has(field)]:
                    yield f"{name} stands in it without {', '.join(missing)}"

    def _wanted(self) -> list[str]:
        paths = (path for path in self.mapper.fields.values() if "." in path)
        return list(dict.fromkeys([*super()._wanted(), *map(_reference, paths)]))

    def _record(self, item: str, version: str, row: Row) -> Record:
        record = super()._record(item, version, row)
        unsure = {column for column, path in self.mapper.fields.items() if _unsure(row, path)}
        told = {column: value for column, value in record.columns.items() if column not in unsure}
        return replace(record, columns=told) if unsure else record


def _reference(path: str) -> str:
    """The field behind the first step of a path: AccountId for Account.Name, Site__c for Site__r.Name."""
    first = path.partition(".")[0]
    return f"{first[:-3]}__c" if first.lower().endswith("__r") else f"{first}Id"


def _unsure(row: Row, path: str) -> bool:
    """Whether it refers to a record that may stand in the CRM alone."""
    if is_invited(path):
        told = at(row, INVITED)
        people = told.get("records") if isinstance(told, Mapping) else None
        return any(_nameless(each) for each in people or ())
    return "." in path and at(row, path) is None and isinstance(at(row, _reference(path)), str)


def _nameless(relation: object) -> bool:
    person = str(relation.get("RelationId")) if isinstance(relation, Mapping) else ""
    return person.startswith(_PEOPLE) and not isinstance(at(relation, "Relation.Email"), str)  # type: ignore[arg-type]
