"""Dating: when items were last changed, from servers that say so only if they are asked.

It matters where both sides changed the same columns and a clock breaks the tie, and while our state is in doubt. All
other items are exchanged without it, and without the request that it costs.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.abilities import Dated
from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Record, Ref, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.work import Work, baseline
from crmsync.daemon.plan.normalise import same


def dated(cx: Context, works: Sequence[Work]) -> list[Work]:
    """The works, the contested ones with the times of their ECS items; without those whose server failed to answer."""
    asked: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if isinstance(work.ecs, Record) and work.ecs.modified is None and _matters(cx, work):
            asked[work.pair.ecs_collection].append(work)
    lost: set[int] = set()
    for key, some in asked.items():
        place = cx.places[key]
        if not isinstance(place.connector, Dated):
            continue
        try:
            dates = place.connector.dates([Ref(r.id, r.version) for w in some if (r := w.record(Side.ECS))])
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            lost |= {w.pair.id for w in some}
            continue
        for work in some:
            record = work.record(Side.ECS)
            work.ecs = replace(record, modified=dates.get(record.id))
    return [w for w in works if w.pair.id not in lost]


def _matters(cx: Context, work: Work) -> bool:
    if cx.doubt is not None:
        return True
    if not isinstance(work.crm, Record):
        return False
    ecs, crm = (_changed(cx, work, side) for side in Side)
    return bool(with_group(work.pair.kind, ecs) & with_group(work.pair.kind, crm))


def _changed(cx: Context, work: Work, side: Side) -> frozenset[str]:
    place = cx.place(side, work.pair.on(side).collection)
    assert place is not None  # it answered a moment ago
    known = baseline(cx, place, work, side)
    columns = work.record(side).columns
    return frozenset(n for n, value in columns.items() if not same(value, known.get(n)))
