"""Strangers: a mail relates to everyone whose address occurs in it; whoever is known in the CRM only later, then.

No other mail is looked at for that: who is waited for stands in the state (``state/awaited.py``), and the CRM is asked
for people who have changed.
"""

from collections import defaultdict
from collections.abc import Sequence

from crmsync.connectors.abilities import Relating
from crmsync.connectors.contract import Columns, Kind, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.meetings import hashed
from crmsync.daemon.cycle.work import Work

_NAMED = {Kind.EMAIL: ("from", "to", "cc")}


def named_in(cx: Context, place: Place, kind: Kind, columns: Columns) -> frozenset[str]:
    """Hashes of everyone who stands in it. Also of those who are known: a lead may get the address of a contact."""
    if not isinstance(place.connector, Relating):
        return frozenset()
    values = (columns.get(n) for n in _NAMED.get(kind, ()))
    names = {a for v in values for a in (v if isinstance(v, tuple) else (v,)) if isinstance(a, str) and a}
    return frozenset(hashed(cx, a.lower()) for a in names if not cx.account.is_person(a))


def relate(cx: Context, works: Sequence[Work]) -> list[Work]:
    """To those who have come. Returns the works that can go on."""
    with cx.state.reading() as tx:
        arrived = tx.awaited.come([w.pair.id for w in works if w.pair.kind in _NAMED])
    some: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if work.pair.id in arrived and isinstance(work.crm, Record):
            some[work.pair.crm_collection].append(work)
    failed: set[int] = set()
    for key, theirs in some.items():
        place = cx.objects[key]
        if cx.dry or not isinstance(place.connector, Relating):
            continue
        try:
            place.connector.relate([work.record(Side.CRM) for work in theirs])
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            failed |= {work.pair.id for work in theirs}
    return [w for w in works if w.pair.id not in failed]
