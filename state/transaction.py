"""What stands open during one transaction: a repository for each table."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from crmsync.state.awaited import Awaited
from crmsync.state.clocks import Clocks
from crmsync.state.conflicts import Conflicts
from crmsync.state.cursors import Cursors, Meta
from crmsync.state.cycles import Cycles
from crmsync.state.erasure import erase, erase_address
from crmsync.state.forgotten import Forgotten
from crmsync.state.held import HeldItems
from crmsync.state.history import History
from crmsync.state.intents import Intents
from crmsync.state.jobs import Audit, Jobs
from crmsync.state.match_index import MatchIndex
from crmsync.state.overall import Overalls
from crmsync.state.pairs import Pairs
from crmsync.state.pulse import Pulse
from crmsync.state.queue import Queue
from crmsync.state.snapshots import Snapshots
from crmsync.state.visits import Visits

Kept = TypeVar("Kept")


class _Repository(Generic[Kept]):
    """Of a transaction, made when it is first asked for: most transactions need two or three of them."""

    def __init__(self, made: Callable[[Connection], Kept]) -> None:
        self._made = made

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tx: "Tx", owner: type) -> Kept:
        made = tx.__dict__[self._name] = self._made(tx.connection)
        return made


class Tx:
    """Made by ``State.transaction`` and ``State.reading``; of no use after them, and not for two threads."""

    queue = _Repository(Queue)
    pairs = _Repository(Pairs)
    snapshots = _Repository(Snapshots)
    clocks = _Repository(Clocks)
    awaited = _Repository(Awaited)
    cursors = _Repository(Cursors)
    meta = _Repository(Meta)
    intents = _Repository(Intents)
    cycles = _Repository(Cycles)
    history = _Repository(History)
    conflicts = _Repository(Conflicts)
    held = _Repository(HeldItems)
    index = _Repository(MatchIndex)
    forgotten = _Repository(Forgotten)
    jobs = _Repository(Jobs)
    audit = _Repository(Audit)
    pulse = _Repository(Pulse)
    visits = _Repository(Visits)
    overall = _Repository(Overalls)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def overtake(self, pair_ids: Collection[int], now: datetime) -> None:
        """Whatever waits for a person about these pairs, or was decided and not carried out, is over: they are not
        linked any more, or not to what they were linked to."""
        self.conflicts.overtaken(pair_ids, now)
        self.held.overtaken(pair_ids)

    def close(self, pair_id: int, now: datetime) -> None:
        """The pair is over and leaves the mapping, and with it all that a person could still have decided about it."""
        self.overtake([pair_id], now)
        self.pairs.remove(pair_id)

    def erase(self, pair_ids: Iterable[int], account: str) -> None:
        """Removes every trace of these pairs: mapping, snapshots, clocks, who is awaited, history, conflicts, what is
        held, intents, their rows of the sync table and of the match index, and the errors that cycles noted of them."""
        erase(self.connection, pair_ids, account)

    def erase_address(self, address: str) -> None:
        """Removes what names this e-mail address beside the pairs that ``erase`` has dealt with."""
        erase_address(self.connection, address)
