"""Stamping: write the link onto the items whose partners have just been made.

It is most of what a first sync waits for, and nothing that follows needs it. Where the connector bears it, the stamps
of one batch are on their way in a thread of their own while the next batch is looked at, matched and made; that thread
only talks to the server. What comes of it is heard in the thread of the cycle: before the next stamps leave, before any
link is merged, and at the end. Whoever dies before finds the rows still queued, and stamps then.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from types import TracebackType

from crmsync.connectors.contract import Done, Side, Update
from crmsync.daemon.cycle.apply import Task, carry_out, leave_queued, send_off
from crmsync.daemon.cycle.context import Context, bears_stamps
from crmsync.daemon.cycle.notes import Notes
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.state.model import Pair
from crmsync.state.snapshot import to_text


class Stamping:
    """In a ``with``: at its end everything is heard, or, if the cycle broke off, at least no longer under way."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._helper: Executor = cx.helper()
        self._finish: Callable[[], None] = _nothing

    def __enter__(self) -> "Stamping":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._helper.shutdown(wait=True)

    def begin(self, born: Sequence[tuple[Newcomer, Pair]]) -> None:
        """The items with their new links, as they have just been noted."""
        stamps = _stamps(self._cx, born)
        tasks = [task for _, _, task in stamps]
        if not tasks:
            return
        if not all(task.place.connector.capabilities.concurrent for task in tasks):
            self.finish()
            carry_out(self._cx, tasks)
            _note(self._cx, stamps)
            return
        hear = send_off(self._cx, tasks, self._helper)  # behind those that are under way

        def finish() -> None:
            hear()
            _note(self._cx, stamps)

        self.finish()
        self._finish = finish

    def finish(self) -> None:
        """Waits for the stamps that are under way, and notes what came of them."""
        finish, self._finish = self._finish, _nothing
        finish()


def _nothing() -> None:
    """Nothing is under way."""


def _stamps(cx: Context, born: Sequence[tuple[Newcomer, Pair]]) -> list[tuple[Newcomer, Pair, Task]]:
    stamps = []
    with cx.state.reading() as tx:
        snapshots = tx.snapshots.get_many([p.id for n, p in born if n.place.connector.capabilities.remembers])
    for newcomer, pair in born:
        capabilities = newcomer.place.connector.capabilities
        if not bears_stamps(newcomer.place, newcomer.record.id):
            continue
        if not capabilities.writable:
            cx.fail(
                newcomer.place.label,
                "read_only",
                f"“{newcomer.place.label}” cannot be written by this login: its items reach the CRM, "
                "but nothing from the CRM can come back; give the login write access, or leave the collection out",
                retry=False,
            )
            continue
        record = newcomer.record
        limit = capabilities.remembers if pair.crm_version else 0
        agreed = to_text(snapshots[pair.id], limit) if limit and pair.id in snapshots else ""
        stamp = cx.signer.stamp(cx.account.name, cx.organisation, pair.crm_id, record.uid, 1, agreed)
        write = Update(record.id, record.version, record.kind, {}, stamp=stamp)
        task = Task(newcomer.place, Side.ECS, write, record.id, record.kind, "link stamp", pair.id)
        stamps.append((newcomer, pair, task))
    return stamps


def _note(cx: Context, stamps: Sequence[tuple[Newcomer, Pair, Task]]) -> None:
    """A link that was changed meanwhile (its item was found elsewhere) is not overwritten: its row stays, and the merge
    looks at it."""
    notes = Notes()
    notes.heard(task for _, _, task in stamps)
    with cx.state.transaction() as tx:
        now = tx.pairs.get_many([pair.id for _, pair, _ in stamps])
        for newcomer, pair, task in stamps:
            if task.done is None:
                leave_queued(cx, tx, [newcomer.row], task, newcomer.record.id)
            elif now.get(pair.id) == pair:
                version = "" if _edited_meanwhile(newcomer, task.done) else task.done.version
                notes.pairs.append(replace(pair, ecs_version=version, generation=1))
                notes.done.append(newcomer.row)
        notes.write(tx)


def _edited_meanwhile(newcomer: Newcomer, done: Done) -> bool:
    """Another edit stands in what was read back after the stamp: then its version must not pass for our own echo."""
    if done.record is None:
        return False
    before, after = newcomer.record.columns, done.record.columns
    return any(n in after and after[n] != v for n, v in before.items())
