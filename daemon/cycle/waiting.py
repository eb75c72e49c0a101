"""What stands in a copy of the CRM, and what waits for the CRM itself: neither is a failure, and each row says why."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from crmsync.connectors.abilities import Copying, Represented
from crmsync.connectors.contract import Columns, Kind, Record, Side
from crmsync.daemon.cycle.apply import PROVISIONAL
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.work import Work, baseline, rules_of
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Change

__all__ = ["AWAY", "UNASKED", "UNKNOWN", "put_off", "stands_in", "take_up", "told_enough", "wait_for_crm"]

AWAY = "away"  # code of rows that wait for the CRM itself
UNASKED = "it was never asked what the account's CRM user may do with the record"
UNKNOWN = "its record does not stand in the copy of the CRM yet"


def stands_in(place: Place | None) -> bool:
    return place is not None and isinstance(place.connector, Copying) and place.connector.stands_in


def take_up(cx: Context) -> None:
    """It has waited long enough as soon as the CRM is there, whenever it was last looked at."""
    connectors = [place.connector for place in cx.objects.values()]
    if cx.dry or not any(isinstance(c, Copying) and not c.stands_in for c in connectors):
        return
    with cx.state.reading() as tx:
        waiting = [row for code in (PROVISIONAL, AWAY) for row in tx.queue.coded(cx.account.name, code)]
    early = [row.id for row in waiting if row.next_at > cx.now()]
    if early:
        with cx.state.transaction() as tx:
            tx.queue.bring_forward(early, cx.now())


def put_off(cx: Context, due: Iterable[Sequence[Change]]) -> None:
    """What the copy does not do for waits, and says so."""
    source = cx.account.crm.source
    absent = {**source.unrepresented(), **cx.absent} if isinstance(source, Represented) else cx.absent
    for rows in due if absent and not cx.dry else ():
        by_reason: dict[str, list[Change]] = defaultdict(list)
        for row in rows:
            by_reason[_why(cx, row, absent)].append(row)
        by_reason.pop("", None)
        for reason, some in by_reason.items():
            wait_for_crm(cx, some, reason)


def _why(cx: Context, row: Change, absent: Mapping[Kind, str]) -> str:
    """Empty: it may go on."""
    place = cx.places.get(row.collection) if row.side is Side.ECS else None
    kinds = {row.kind} if row.kind else set(place.collection.kinds) if place is not None else set()
    reasons = dict.fromkeys(absent[kind] for kind in sorted(kinds) if kind in absent)
    return "; ".join(reasons) if kinds <= absent.keys() else ""


def wait_for_crm(cx: Context, rows: Sequence[Change], reason: str) -> None:
    if not cx.dry and rows:
        with cx.state.transaction() as tx:
            tx.queue.wait(
                [r.id for r in rows], cx.now() + cx.retries.first, AWAY, f"waits for the CRM: {reason}"
            )


def told_enough(cx: Context, works: Sequence[Work]) -> list[Work]:
    """Without those that were changed in what the copy cannot tell: the rest of the change would be taken for all."""
    left: list[Work] = []
    for work in works:
        place = cx.objects.get(work.pair.crm_collection)
        if place is not None and stands_in(place) and (silent := _untold(cx, place, work)):
            wait_for_crm(cx, work.rows, f"its copy does not tell {', '.join(sorted(silent))}")
        else:
            left.append(work)
    return left


def _untold(cx: Context, place: Place, work: Work) -> set[str]:
    """Columns that the CRM has, of which the copy says nothing, and the item something new."""
    if not isinstance(work.ecs, Record) or not isinstance(work.crm, Record):
        return set()
    kind, rules = work.pair.kind, rules_of(cx, work.pair.kind)
    able = place.connector.capabilities
    open_ = able.columns.get(kind, frozenset()) - able.read_only_columns.get(kind, frozenset())
    silent = {
        n for n in open_ - work.crm.columns.keys() if n in rules and rules[n].direction.allows(Side.CRM)
    }
    known: Columns = baseline(cx, cx.places[work.pair.ecs_collection], work, Side.ECS) if silent else {}
    shown = work.ecs.columns
    return {n for n in silent if n in shown and not (n in known and same(shown[n], known[n]))}
