"""A condition of the operator goes to every object, and may name fields that only some of them have."""

from collections.abc import Sequence

from crmsync.connectors.contract import Selection
from crmsync.connectors.errors import NotFound
from crmsync.connectors.salesforce.faults import InvalidField, Malformed
from crmsync.connectors.salesforce.table import Table


class Conditions:
    """What is known of the conditions that an object of this organisation does not understand."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._foreign: set[tuple[str, str]] = set()

    def foreign(self, table: Table, selection: Selection) -> bool:
        """Whether the condition is known to be about another object."""
        return (table.name, selection.condition) in self._foreign

    def is_foreign(self, table: Table, selection: Selection) -> bool:
        """The object lacks a field of the condition: is there one that has it, or is the condition mistaken?"""
        others = (other for other in self._tables if other is not table)
        if selection.condition and any(_understands(other, selection.condition) for other in others):
            self._foreign.add((table.name, selection.condition))
        return self.foreign(table, selection)


def _understands(table: Table, condition: str) -> bool:
    try:
        next(table.client.query(f"SELECT Id FROM {table.name} WHERE ({condition}) LIMIT 1", table.name))
    except (InvalidField, Malformed, NotFound):  # not every organisation has every object
        return False
    return True
