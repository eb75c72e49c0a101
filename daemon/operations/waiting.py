"""What an undo leaves behind: differences between the sides that wait for a person, as conflicts do."""

from collections.abc import Sequence

from crmsync.connectors.contract import Record, Side, Value
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Conflict, Entry, Pair, PairState


def wait(cx: Context, pair: Pair, entries: Sequence[Entry], other: Record | None) -> list[str]:
    """The difference to the other side will wait for a person. That is noted before anything is written: the cycle that
    follows an interrupted undo must not take what was put back for an edit of the other side. Returns the columns in
    which there will be none: nothing waits for a person in these once the write stands, and not before. What is not
    linked any more is not exchanged, so that nobody is asked about it."""
    if pair.state is PairState.UNLINKED:
        return []
    cycle, in_step = cx.cycle, []
    with cx.state.transaction() as tx:
        waiting = tx.conflicts.open_for([pair.id])
        for one in entries:
            noted = waiting.get((pair.id, one.column))
            if noted is not None and noted.reason == _waits(one):
                if same(_value(noted, one.side), one.old):
                    continue  # an undo was interrupted; what people have done since is an edit like any other
                theirs = _value(noted, one.side.other)  # this undo has put it back
            elif other is None or one.column not in other.columns:
                continue
            else:
                theirs = other.columns[one.column]
            if differing := _difference(cx, cycle, pair, one, theirs):
                tx.conflicts.settle(pair.id, [one.column], cx.now())
                tx.conflicts.add(differing)
            else:
                in_step.append(one.column)
    return in_step


def _waits(one: Entry) -> str:
    return f"cycle {one.cycle} was undone; say which value shall stand"


def _value(conflict: Conflict, side: Side) -> Value:
    return conflict.ecs if side is Side.ECS else conflict.crm


def settle(cx: Context, pair: Pair, columns: Sequence[str], intents: Sequence[int]) -> None:
    """``intents``: of the write of which it is known that it was not done."""
    with cx.state.transaction() as tx:
        tx.intents.close(intents)
        tx.conflicts.settle(pair.id, columns, cx.now())


def _difference(cx: Context, cycle: int, pair: Pair, one: Entry, theirs: Value) -> list[Conflict]:
    if same(theirs, one.old):
        return []
    ecs, crm = (one.old, theirs) if one.side is Side.ECS else (theirs, one.old)
    return [
        Conflict(
            cycle=cycle,
            account=pair.account,
            pair_id=pair.id,
            kind=pair.kind,
            item=pair.ecs_id,
            record=pair.crm_id,
            column=one.column,
            base=one.old,
            ecs=ecs,
            crm=crm,
            reason=_waits(one),
            at=cx.now(),
        )
    ]
