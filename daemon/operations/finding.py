"""What a person means by ITEM: any id that the tool prints, of either side."""

from collections.abc import Iterator, Sequence

from crmsync.connectors.contract import Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes
from crmsync.state.database import State
from crmsync.state.model import Change, Pair
from crmsync.state.transaction import Tx


class NoSuchItem(Exception):
    """The sentence for the operator."""


def pairs_of(state: State, item: str) -> list[Pair]:
    """The one item that ``item`` names, with the link of each account that sees it. Raises NoSuchItem when there is
    none, or several."""
    with state.reading() as tx:
        pairs = tx.pairs.find(item)
    if not pairs:
        raise NoSuchItem(
            f"no linked item is known as “{item}”; `crmsync queue` and `crmsync explain` show ids"
        )
    if len({(p.ecs_collection, p.ecs_id) for p in pairs}) > 1:
        choices = ", ".join(f"{p.account}: {p.ecs_collection}/{p.ecs_id}" for p in pairs)
        raise NoSuchItem(f"“{item}” is linked more than once; name one by its ECS id ({choices})")
    return pairs


def rows_of(tx: Tx, pair: Pair) -> list[Change]:
    return [
        *tx.queue.get(pair.account, Side.ECS, pair.ecs_collection, [pair.ecs_id]),
        *tx.queue.get(pair.account, Side.CRM, pair.crm_collection, [pair.crm_id]),
    ]


def rows_named(tx: Tx, item: str) -> list[Change]:
    """Rows of the sync table of an item, linked or not."""
    rows = {r.id: r for pair in tx.pairs.find(item) for r in rows_of(tx, pair)}
    rows.update({r.id: r for r in tx.queue.named(item)})
    return list(rows.values())


def opened(contexts: Sequence[Context]) -> Iterator[Context]:
    for cx in contexts:
        open_mailboxes(cx)
        if open_crm(cx):
            yield cx


def living(cx: Context, side: Side, item: str) -> Iterator[tuple[Place, Record]]:
    """The item as the servers show it now, wherever it is; collections that fail are passed over, and say so in
    ``cx.errors``."""
    places = cx.places if side is Side.ECS else cx.objects
    for place in list(places.values()):
        names = list(dict.fromkeys([item, item.removeprefix(f"{place.key}/")]))
        try:
            answers = fetch(cx, place, names)
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            continue
        yield from ((place, a) for n in names if isinstance(a := answers.get(n), Record))
