"""A copy of the CRM that stands before it: what is written goes there, and later, or never, to the CRM itself.

As ``docs/decisions/0017`` has it: the sync reads what the CRM has, and writes into the copy; a write that only the copy
has is provisional, and repeating it changes nothing; what is given up on the way is told to whoever repeats it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from crmsync.connectors.contract import (
    ABANDONED,
    Collection,
    Columns,
    Create,
    Delete,
    Done,
    Outcome,
    Refused,
    Side,
    Update,
    Write,
)
from crmsync.connectors.memory.client import Client
from crmsync.connectors.memory.native import Item
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.writing import Writer
from crmsync.daemon.plan.normalise import same
from tests.daemon.machine.trouble import Fate, Wires


@dataclass(frozen=True, slots=True)
class Waiting:
    """A write that only the copy has."""

    write: Write
    orig: Columns = field(default_factory=dict)  # what the CRM showed where it goes
    undoes: bool = False  # it is an undo's, also when it reaches the CRM in the end


class Copy(Wires):
    """The line to the CRM, with the copy on it. ``find``: an item of the CRM."""

    def __init__(self, name: str, fate: Fate, find: Callable[[str], Item | None]) -> None:
        super().__init__(name, fate)
        self.away = False  # the CRM: everything stays in the copy
        self.undoing: Callable[[], bool] = lambda: False
        self.waiting: dict[str, Waiting] = {}
        self.given_up: dict[str, Write] = {}
        self._find = find

    def kept_back(self, write: Write) -> Outcome | None:
        target = target_of(write)
        given_up = self.given_up.pop(target, None)
        if given_up is not None and _repeats(write, given_up):
            return Refused(target, ABANDONED, "by an admin")  # told once: who wants it again may have it
        if not self.away:
            self.waiting.pop(target, None)  # it goes to the CRM now, and what waited for it is in it
            return None
        self.waiting[target] = replace(self._added(target, write), undoes=self.undoing())
        return Done(target, "", provisional=True)

    def give_up(self, target: str) -> None:
        """An admin does, or the CRM would not have it."""
        self.given_up[target] = self.waiting.pop(target).write

    def deliver(self, target: str, server: MemoryServer, collection: Collection) -> None:
        """To the CRM, tried until it is heard; where somebody has been quicker there, it is given up."""
        one = self.waiting.pop(target)
        there = self._find(target)
        write = one.write
        if isinstance(write, Update | Delete) and there is not None:
            if any(not same(there.columns.get(n), v) for n, v in one.orig.items()):
                if isinstance(write, Update):
                    self.given_up[target] = write
                return
            write = replace(write, expected=there.version)
        away, self.away = self.away, False
        failures, self._failures = self._failures, []
        try:
            Writer(Client(server, "the copy"), Side.CRM, collection).write(write)
        finally:
            self.away, self._failures = away, failures

    def clear(self) -> None:
        """The CRM is there again. What waits in the copy, and what was given up, stays."""
        super().clear()
        self.away = False

    def _added(self, target: str, write: Write) -> Waiting:
        """The copy has one state of a record, whoever wrote it in how many steps."""
        there, before = self._find(target), self.waiting.get(target)
        shown: Mapping[str, object] = there.columns if there is not None else {}
        match write:
            case Update():
                earlier = before.write.columns if before and isinstance(before.write, Update) else {}
                write = replace(write, columns={**earlier, **write.columns})
                return Waiting(write, {n: shown.get(n) for n in write.columns})  # type: ignore[misc]
            case Delete():
                return Waiting(write, dict(shown))  # type: ignore[arg-type]
            case Create():
                return before or Waiting(write)


def target_of(write: Write) -> str:
    return write.key if isinstance(write, Create) else write.id


def _repeats(write: Write, given_up: Write) -> bool:
    """Whether it asks for nothing but what was given up."""
    if type(write) is not type(given_up):
        return False
    if isinstance(write, Update) and isinstance(given_up, Update):
        known = given_up.columns
        return all(n in known and same(v, known[n]) for n, v in write.columns.items())
    return True
