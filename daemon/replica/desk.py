"""Where the sync leaves in a replica what the CRM does not have yet, and hears what has become of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import Create, Deferred, Done, Outcome, Refused, Stale, Write
from crmsync.connectors.errors import AuthExpired
from crmsync.daemon.replica.context import naive
from crmsync.daemon.replica.keeper import Keeper
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import from_sync, rights
from crmsync.state.replica.local.database import ForeignLogin
from crmsync.state.replica.local.rows import Work

__all__ = ["ReplicaDesk"]


class Kept(Protocol):
    """A write, with the row that it would have sent, and when its fields were changed."""

    @property
    def write(self) -> Write: ...

    @property
    def row(self) -> Mapping[str, object]: ...

    @property
    def clocks(self) -> Mapping[str, datetime]: ...


class ReplicaDesk:
    """Safe to use from several threads."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def known(self, writes: Sequence[Write], *, send: bool) -> Mapping[int, Outcome]:
        with self.keeper.database.read() as work:
            before = from_sync.entries(work, writes)
        if not before:
            return {}
        if send and (waiting := from_sync.waiting(before.values())):
            self._send(waiting)
        with self.keeper.database.write() as work:
            return self._known(work, writes, before)

    def _known(self, work: Work, writes: Sequence[Write], before: Collection[str]) -> Mapping[int, Outcome]:
        found: dict[int, Outcome] = {}
        entries = from_sync.entries(work, writes)
        for position, write in enumerate(writes):
            name = write.key if isinstance(write, Create) else write.id
            entry = entries.get(name)
            if entry is None and name in before:
                found[position] = Stale(name)  # it has arrived since the sync looked
                continue
            outcome = from_sync.standing(work, write, entry) if entry is not None else None
            waiting = isinstance(outcome, Done) and isinstance(write, Create)
            if outcome is not None and not waiting:  # a create that waits is the sync's own to make
                found[position] = outcome
        return found

    def _send(self, ids: Collection[str]) -> None:
        """These alone: what else waits may not be granted now, and has a pass, or its own repetition."""
        try:
            self.keeper.send(ids)
        except ForeignLogin as error:
            raise AuthExpired(str(error)) from error

    def keep(self, table: str, some: Sequence[Kept]) -> Sequence[Outcome]:
        return [self._keep(table, each) for each in some]

    def _keep(self, table: str, kept: Kept) -> Outcome:
        write, outcomes = kept.write, list[Outcome]()
        name = write.key if isinstance(write, Create) else write.id
        offset = self.keeper.offset()
        clocks = {field: naive(when + offset) for field, when in kept.clocks.items()}

        def do(work: Work, at: datetime) -> str:
            outcomes.append(from_sync.keep(work, table, write, _json(kept.row), clocks, at))
            return ""

        try:
            self.keeper.here(do)
        except Fault as fault:
            if fault.code == "NOT_FOUND":
                return Deferred(name, "the copy of the CRM does not have it")
            return Refused(name, fault.code.lower(), fault.message)
        return outcomes[0]

    def arrived(self, write: Create, outcome: Outcome) -> None:
        with self.keeper.database.read() as work:
            if not from_sync.entries(work, [write]):
                return

        def do(work: Work, at: datetime) -> str:
            from_sync.arrived(work, write.key, outcome, at)
            return ""

        self.keeper.here(do)

    def joined(self, key: str, id: str) -> None:
        def do(work: Work, at: datetime) -> str:
            from_sync.joined(work, key, id, at)
            return ""

        self.keeper.here(do)

    # ── Rights ───────────────────────────────────────────────────────────────────────────────────────────────

    def grant(self, user: str, asked: Sequence[str], told: Mapping[str, Access]) -> None:
        wanted = {i: told.get(i, Access(read=False, edit=False, delete=False)) for i in asked}
        with self.keeper.database.read() as work:
            known = rights.told(work, user, wanted)
        if new := {i: each for i, each in wanted.items() if known.get(i) != each}:
            with self.keeper.database.write() as work:
                rights.note(work, user, new)

    def may_read(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        """What it said last; and of what it was never asked about, that an owner reads what they own."""
        with self.keeper.database.read() as work:
            told = rights.told(work, user, ids)
            owned = rights.owned(work, user, [i for i in ids if i not in told])
        return {**told, **dict.fromkeys(owned, Access(read=True, edit=False, delete=False))}

    def granted(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        with self.keeper.database.read() as work:
            return rights.told(work, user, ids)


def _json(row: Mapping[str, object]) -> Mapping[str, Any]:
    return row
