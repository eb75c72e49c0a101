"""What a person means by ITEM: any id that the tool prints, of either side."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from crmsync.connectors.abilities import Naming
from crmsync.connectors.contract import Record, Side, Unreadable
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes
from crmsync.state.database import State
from crmsync.state.model import Change, Pair
from crmsync.state.transaction import Tx

Only: TypeAlias = frozenset[str] | None  # the accounts that an operation may see and touch; None: all


class NoSuchItem(Exception):
    """The sentence for the operator."""


def meant(state: State, contexts: Sequence[Context], item: str) -> str:
    """``item`` as an id that the state or a server knows: people also have URLs, paths, UIDs and short ids. Servers are
    asked only where the state does not know it. Raises NoSuchItem for no text at all."""
    if not item.strip():
        raise NoSuchItem("an empty text names no item; `crmsync queue` and `crmsync matches` show ids")
    with state.reading() as tx:
        if tx.pairs.find(item) or tx.queue.named(item) or tx.history.find(item):
            return item
    return next(_other_names(contexts, item), item)


def _other_names(contexts: Sequence[Context], item: str) -> Iterator[str]:
    for cx in contexts:
        open_ecs(cx)
        for place in list(cx.places.values()):
            if (id := _named(cx, place, item)) is not None:
                yield f"{place.key}/{id}"
    for cx in contexts:
        reachable = bool(cx.objects) or open_crm(cx)
        yield from (id for p in cx.objects.values() if reachable and (id := _named(cx, p, item)) is not None)


def _named(cx: Context, place: Place, item: str) -> str | None:
    try:
        return place.connector.named(item) if isinstance(place.connector, Naming) else None
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return None


def open_ecs(cx: Context) -> None:
    if not cx.places:
        open_mailboxes(cx)


def within(only: Only, account: str) -> bool:
    return only is None or account in only


def pairs_of(state: State, item: str, only: Only = None) -> list[Pair]:
    """The one item that ``item`` names, with the link of each account that sees it. Raises NoSuchItem when there is
    none, or several."""
    with state.reading() as tx:
        pairs = [p for p in tx.pairs.find(item) if within(only, p.account)]
    if not pairs:
        raise NoSuchItem(
            f"no linked item is known as “{item}”; `crmsync queue` and `crmsync explain` show ids"
        )
    if len({(p.ecs_collection, p.ecs_id) for p in pairs}) > 1:
        choices = ", ".join(f"{p.account}: {p.ecs_collection.rstrip('/')}/{p.ecs_id}" for p in pairs)
        raise NoSuchItem(f"“{item}” is linked more than once; name one by its ECS id ({choices})")
    return pairs


def rows_of(tx: Tx, pair: Pair) -> list[Change]:
    return [
        *tx.queue.get(pair.account, Side.ECS, pair.ecs_collection, [pair.ecs_id]),
        *tx.queue.get(pair.account, Side.CRM, pair.crm_collection, [pair.crm_id]),
    ]


def rows_named(tx: Tx, item: str, only: Only = None) -> list[Change]:
    """Rows of the sync table of an item, linked or not."""
    rows = {r.id: r for pair in tx.pairs.find(item) for r in rows_of(tx, pair)}
    rows.update({r.id: r for r in tx.queue.named(item)})
    return [r for r in rows.values() if within(only, r.account)]


def opened(contexts: Sequence[Context]) -> Iterator[Context]:
    for cx in contexts:
        open_ecs(cx)
        if cx.objects or open_crm(cx):
            yield cx


def living(cx: Context, side: Side, item: str) -> Iterator[tuple[Place, Record]]:
    """The item as the servers show it now, wherever it is; see ``answering``."""
    yield from ((place, a) for place, a in answering(cx, side, item) if isinstance(a, Record))


def answering(cx: Context, side: Side, item: str) -> Iterator[tuple[Place, Record | Unreadable]]:
    """Also what cannot be read; collections that fail are passed over, and say so in ``cx.errors``."""
    places = cx.places if side is Side.ECS else cx.objects
    for place in list(places.values()):
        for id in dict.fromkeys([item.removeprefix(f"{place.key}/"), item]):
            try:
                answer = fetch(cx, place, [id]).get(id)
            except ConnectorError as error:
                cx.broke(f"“{place.label}”", error, place.login)
                break
            if isinstance(answer, Record | Unreadable):
                yield place, answer
                break
