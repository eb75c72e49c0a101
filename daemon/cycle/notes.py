"""Notes: what a batch has to write down, gathered, so that it takes one statement a table and not one an item."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle.apply import Task
from crmsync.state.model import Change, Entry, Pair
from crmsync.state.snapshot import Snapshot
from crmsync.state.transaction import Tx


@dataclass(slots=True)
class Notes:
    history: list[Entry] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)  # as they stand now
    snapshots: dict[int, Snapshot] = field(default_factory=dict)  # by pair
    done: list[Change] = field(default_factory=list)  # rows that are dealt with, unless they changed since
    intents: list[int] = field(default_factory=list)  # whose outcome is known
    staying: list[int] = field(default_factory=list)  # pairs of which nothing is to be deleted any more
    clocks: dict[tuple[int, Side, str], tuple[str, datetime]] = field(default_factory=dict)
    awaited: dict[int, frozenset[str]] = field(default_factory=dict)  # by pair, whom the CRM does not know
    met: list[int] = field(default_factory=list)  # pairs for which whoever has come was dealt with
    # pairs whose column clocks start anew, but for those noted here
    in_step: list[int] = field(default_factory=list)

    def heard(self, tasks: Iterable[Task]) -> None:
        """Of the tasks whose outcome is not known, ``recover`` looks what became."""
        for task in tasks:
            self.intents += task.over

    def write(self, tx: Tx) -> None:
        tx.intents.close(self.intents)
        tx.history.add(self.history)
        tx.held.overtaken(self.staying)
        tx.pairs.save_many(self.pairs)
        tx.snapshots.put_many(self.snapshots)
        tx.awaited.seen(self.met)
        tx.awaited.put(self.awaited)
        tx.clocks.clear(self.in_step)
        tx.clocks.put(self.clocks)
        tx.queue.done_unless_changed(self.done)
