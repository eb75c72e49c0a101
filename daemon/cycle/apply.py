"""Apply: every write is announced in the state before it is sent, and sent in batches."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import (
    Columns,
    Create,
    Deferred,
    Delete,
    Done,
    Kind,
    Outcome,
    Refused,
    Side,
    Stale,
    Update,
    Value,
    Write,
)
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.plan.members import people
from crmsync.daemon.plan.normalise import rewritten
from crmsync.state.model import PROVISIONAL, Change, Intent
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, encode_columns

IN_COPY = "waits in the copy of the CRM"


@dataclass(slots=True)
class Task:
    """One write on its way."""

    place: Place
    side: Side
    write: Write
    item: str  # the item whose row of the sync table asked for it
    kind: Kind
    reason: str
    pair_id: int | None = None
    native: str = ""  # what stands there now: the text (delete), the columns as JSON (update)
    going: Columns = field(default_factory=dict)  # what goes with a delete
    ecs_id: str = ""  # for the plan of a dry run
    crm_id: str = ""
    outcome: Outcome | None = None  # None: not sent, or the answer was lost
    intents: list[int] = field(default_factory=list)  # to be closed when the outcome is confirmed
    replaces: list[int] = field(default_factory=list)  # intents whose columns are all in this write
    cut: bool = False  # a create without the columns that are not granted: its item is looked at again
    repeated: bool = False  # a create that was announced before: what stands may be of then, and edited since
    _predicted: tuple[Write, Columns] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def predicted(self) -> Columns:
        """The columns of the write as the target's mapping says that they will be shown; asked for several times."""
        if self._predicted is None or self._predicted[0] is not self.write:
            self._predicted = self.write, self.place.connector.project(self.kind, self.columns)
        return self._predicted[1]

    @property
    def met(self) -> bool:
        """A create that found something under its key, although we had announced none: it may be anybody's."""
        return self.done is not None and self.done.found and not self.repeated

    @property
    def done(self) -> Done | None:
        """None, too, for what only a copy has: nothing is agreed before the server has it."""
        return self.outcome if isinstance(self.outcome, Done) and not self.provisional else None

    @property
    def provisional(self) -> bool:
        return isinstance(self.outcome, Done) and self.outcome.provisional

    @property
    def over(self) -> list[int]:
        """The intents of a write of which it is known what became. A server that failed, or that asks to try again,
        may have written nonetheless: the next cycle looks, as if the answer had been lost. So it does for what only a
        copy has; and that the last attempt at a create wrote nothing says nothing of those before it."""
        open_ = self.outcome is None or isinstance(self.outcome, Deferred) or self.provisional
        return [] if open_ or (self.repeated and isinstance(self.outcome, Stale)) else self.intents

    @property
    def action(self) -> str:
        return type(self.write).__name__.lower()

    @property
    def columns(self) -> Columns:
        return {} if isinstance(self.write, Delete) else self.write.columns


def carry_out(
    cx: Context, tasks: Sequence[Task], forestalled: Callable[[Tx], Collection[str]] = lambda tx: ()
) -> None:
    """Send the writes, place by place; each task then has its outcome. A conversation that fails is reported, and what
    it left unknown stays None: the next cycle loads and looks. ``forestalled``: items whose partner somebody else has
    made by the time the creates are announced."""
    for some in _by_place(cx, tasks):
        _announce(cx, some, forestalled)
        try:
            leaving = _leaving(cx, some)
            for task, outcome in zip(leaving, _answers(leaving), strict=False):
                _heard(cx, task, outcome)
        except ConnectorError as error:
            _broke(cx, some, error)


def send_off(cx: Context, tasks: Sequence[Task], helper: Executor) -> Callable[[], None]:
    """As ``carry_out``, by the helper's hands: the tasks have their outcomes when what this returns has been called,
    which waits for them. The helper only talks to the servers; all else is done here."""
    under_way: list[tuple[list[Task], list[Outcome], Future[None]]] = []
    for some in _by_place(cx, tasks):
        _announce(cx, some)
        leaving, outcomes = _leaving(cx, some), list[Outcome]()
        under_way.append((leaving, outcomes, helper.submit(_gather, leaving, outcomes)))

    def hear() -> None:
        for leaving, outcomes, sent in under_way:
            error = sent.exception()
            for task, outcome in zip(leaving, outcomes, strict=False):
                _heard(cx, task, outcome)
            if isinstance(error, ConnectorError):
                _broke(cx, leaving, error)
            elif error is not None:
                raise error

    return hear


def _gather(tasks: Sequence[Task], outcomes: list[Outcome]) -> None:
    """A conversation that breaks off leaves the known beginning."""
    for outcome in _answers(tasks):
        outcomes.append(outcome)


def _by_place(cx: Context, tasks: Sequence[Task]) -> Iterable[list[Task]]:
    """Those that are granted. A dry run intends them, and that is all."""
    tasks = [t for t in tasks if _granted(cx, t)]
    if cx.dry:
        for task in tasks:
            cx.intend(task.ecs_id, task.crm_id, task.side, task.action, task.columns, task.reason)
        return []
    by_place: dict[tuple[Side, str], list[Task]] = defaultdict(list)
    for task in tasks:
        by_place[task.side, task.place.key].append(task)
    return by_place.values()


def _granted(cx: Context, task: Task) -> bool:
    """Whoever made the task has asked the grant before; this is for what somebody may forget to ask. What is left out
    here is like a write that was never sent: its row stays."""
    match task.write:
        case Update(columns=columns) if not columns:
            return cx.grant.touches(task.kind)
        case Delete():
            return cx.grant.sends(task.side, task.kind)
        case Create() | Update():
            return cx.grant.whole(task.side, task.kind, task.write.columns)


def _announce(
    cx: Context, tasks: Sequence[Task], forestalled: Callable[[Tx], Collection[str]] = lambda tx: ()
) -> None:
    """Write the intents. A create that was announced before is repeated as it was, whatever has changed since: only
    then is what it finds its own. It says since when it may stand. What another account, which sees the same item, has
    made or is making since we looked is not sent: the next look finds its link."""
    account, side, key = cx.account.name, tasks[0].side, tasks[0].place.key
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        before = tx.intents.open_for(account, side, key, [t.item for t in tasks])
        for task in tasks:
            old = before.get(task.item)
            if old is not None:
                task.intents.append(old.id)
                if not isinstance(task.write, Create):
                    task.write = replace(task.write, since=old.at)
                elif old.action == "create":
                    columns = decode_columns(task.kind, old.columns)
                    task.write = replace(task.write, key=old.key, columns=columns, since=old.at)
                    task.repeated = True
        made = forestalled(tx)
        for task in (t for t in tasks if not t.repeated and t.item in made):
            task.outcome = Stale(task.item)
        new = [t for t in tasks if not t.repeated and t.outcome is None]
        ids = tx.intents.write([_intent(cx, cycle, t) for t in new])
        tx.intents.close([id for t in new for id in t.replaces])
    for task, id in zip(new, ids, strict=True):
        task.intents.append(id)


def _intent(cx: Context, cycle: int, task: Task) -> Intent:
    write = task.write
    return Intent(
        cycle=cycle,
        account=cx.account.name,
        side=task.side,
        collection=task.place.key,
        action=task.action,
        item=task.item,
        key=write.key if isinstance(write, Create) else "",
        columns=encode_columns(task.going or task.columns),
        native=task.native,
        expected="" if isinstance(write, Create) else write.expected,
        pair_id=task.pair_id,
        kind=task.kind,
        at=cx.now(),
    )


def _leaving(cx: Context, tasks: Sequence[Task]) -> list[Task]:
    """Those that are sent. Whoever loses the answer must see what stands there now."""
    leaving = [t for t in tasks if t.outcome is None]
    for task in leaving:
        cx.records.drop(task.place.key, task.item)
    return leaving


def _answers(tasks: Sequence[Task]) -> Iterable[Outcome]:
    """Of writes to one place. Raises ConnectorError."""
    return tasks[0].place.connector.apply([t.write for t in tasks]) if tasks else ()


def _heard(cx: Context, task: Task, outcome: Outcome) -> None:
    task.outcome = outcome
    if isinstance(outcome, Done) and not outcome.provisional:
        if task.side is Side.ECS and outcome.record is not None:
            task.outcome = replace(outcome, record=cx.account.shown(outcome.record))
        cx.writes += 1
        cx.touched.add(task.place.key)
        cx.progress("written", 1)


def _broke(cx: Context, tasks: Sequence[Task], error: ConnectorError) -> None:
    place = tasks[0].place
    cx.broke(f"“{place.label}”", error, place.login)
    cx.again = False


def leave_queued(cx: Context, tx: Tx, rows: Sequence[Change], task: Task, label: str) -> None:
    """What becomes of the rows of an item whose write did not go through."""
    ids = [r.id for r in rows]
    attempts = max((r.attempts for r in rows), default=0)
    match task.outcome:
        case Done(provisional=True, still=still):
            reason = f"{IN_COPY}, and for the CRM itself: {still}" if still else IN_COPY
            tx.queue.wait(ids, cx.now() + cx.retries.first, PROVISIONAL, reason)
        case None | Done():
            return  # unknown: the rows stay due
        case Stale():
            cx.again = True  # load and merge again; it stays due
        case Refused(code=code, reason=reason):
            tx.queue.park(ids, code, reason)
            cx.count("parked")
            cx.fail(label, code, reason, retry=False)
        case Deferred(reason=reason, retry_after=asked):
            defer(cx, tx, ids, attempts, label, "deferred", reason, asked)


def defer(
    cx: Context,
    tx: Tx,
    ids: Sequence[int],
    attempts: int,
    label: str,
    code: str,
    reason: str,
    asked: float | None = None,
) -> None:
    """Try again later; out of retries, park."""
    if attempts + 1 >= cx.retries.budget:
        tx.queue.park(ids, code, f"{reason} (given up after {attempts + 1} attempts)")
        cx.count("parked")
        cx.fail(label, code, reason, retry=False)
    else:
        tx.queue.defer(ids, cx.now() + cx.retries.wait(attempts, asked, cx.jitter()), code, reason)
        cx.fail(label, code, reason, retry=True)


def park(cx: Context, tx: Tx, rows: Sequence[Change], label: str, code: str, reason: str) -> None:
    tx.queue.park([r.id for r in rows], code, reason)
    cx.count("parked")
    cx.fail(label, code, reason, retry=False)


def written(task: Task, before: Columns) -> Columns:
    """What the target shows after the write: as read back, or as its mapping predicts it; without the edits that
    others made before it was read back. Of a repeated create, what it showed then: whatever it shows now beyond that is
    an edit."""
    done = task.done
    expected = {**before, **task.predicted}
    if done is None or done.record is None or task.repeated:
        return expected
    others = foreign(task, before)
    told = {n: v for n, v in done.record.columns.items() if n not in others}
    return expected | told  # a connector need not read back what never changes


def _ours(kind: Kind, name: str, sent: Value, shown: Value, partial: Collection[str]) -> bool:
    """Whether the server made this of what was sent; of the lists in ``partial`` it keeps those that it knows."""
    if name in partial:
        return people(shown).keys() <= people(sent).keys()
    return rewritten(kind, name, sent, shown)


def foreign(task: Task, before: Columns) -> frozenset[str]:
    """Columns in which what was read back cannot be the server's doing: someone else wrote them meanwhile. It must be
    looked at as an edit, so its version must not pass for our own echo."""
    done = task.done
    if done is None or done.record is None:
        return frozenset()
    shown, after = task.predicted, done.record.columns
    partial = task.place.connector.capabilities.partial.get(task.kind, ())
    unit = with_group(task.kind, frozenset(task.columns))
    mine = {
        n
        for n, v in task.columns.items()
        if n in shown and n in after and not _ours(task.kind, n, shown[n], after[n], partial)
    }
    return frozenset(mine | {n for n, v in before.items() if n in after and after[n] != v and n not in unit})
