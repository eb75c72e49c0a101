"""Before something is put back: is one like it there? Who has made it again by hand does not want a second one.

An item is like another one where the match would take it for its partner: it shares an address or a number (or, without
such, what identifies its kind), and its name agrees. Linked or not: what stands, stands.
"""

from collections import defaultdict
from collections.abc import Iterable

from crmsync.connectors.abilities import Searchable
from crmsync.connectors.contract import Columns, Kind, Record, Side
from crmsync.daemon.cycle.candidates import probe_of
from crmsync.daemon.cycle.context import BATCH, Context, Place, in_batches
from crmsync.daemon.cycle.detect import detect_ecs
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.survey import survey


def look_around(cx: Context) -> None:
    """Let the match index know of what people have made on the ECS side since the last cycle, which is to decide what
    becomes of it."""
    account = cx.account.name
    for place in list(cx.places.values()):
        detect_ecs(cx, place)
        with cx.state.reading() as tx:
            waiting = tx.queue.of_collection(account, Side.ECS, place.key)
            linked = tx.pairs.by_ecs(account, place.key, waiting)
            rows = tx.queue.get(account, Side.ECS, place.key, [id for id in waiting if id not in linked])
        for some in in_batches(rows, BATCH):
            survey(cx, some, decide=False)


def twins(cx: Context, place: Place, side: Side, kind: Kind, columns: Columns) -> list[Record]:
    """Raises ConnectorError."""
    sought = Record("", "", kind, columns)
    candidate = cx.signer.candidate(sought)
    near = _indexed(cx, candidate.keys) if side is Side.ECS else _found(place, sought)
    others = ((r, cx.signer.candidate(r)) for r in near if r.kind is kind)
    return [r for r, o in others if o.keys & candidate.keys and o.name.agrees(candidate.name)]


def _indexed(cx: Context, keys: Iterable[str]) -> list[Record]:
    """As they stand now, in every collection of the account."""
    with cx.state.reading() as tx:
        rows = [row for some in tx.index.find(cx.account.name, keys).values() for row in some]
    items: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        items[row.collection].add(row.item)
    places = ((cx.places[key], sorted(ids)) for key, ids in items.items() if key in cx.places)
    return [a for place, ids in places for a in fetch(cx, place, ids).values() if isinstance(a, Record)]


def _found(place: Place, sought: Record) -> list[Record]:
    connector, probe = place.connector, probe_of(sought)
    if probe is None or not connector.capabilities.searchable or not isinstance(connector, Searchable):
        return []
    return list(connector.search(sought.kind, [probe]))
