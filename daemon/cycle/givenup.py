"""What is given up: links that bind nothing any more, and creates that were announced and will not be repeated."""

from collections.abc import Collection, Iterable

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle.context import Context
from crmsync.state.model import Action, Pair, PairState
from crmsync.state.transaction import Tx
from crmsync.state.values import qualified


def make_room(cx: Context, tx: Tx, pair: Pair) -> None:
    """A link that was given up binds nothing once one of the two is linked to something else: by this pair, which may
    be stored already."""
    known = (
        *tx.pairs.by_ecs(pair.account, pair.ecs_collection, [pair.ecs_id]).values(),
        *tx.pairs.by_crm(pair.account, pair.crm, pair.crm_collection, [pair.crm_id]).values(),
    )
    given_up = {p.id for p in known if p.state is PairState.UNLINKED and p.id != pair.id}
    for id in given_up:
        tx.close(id, cx.now())
    give_up_again(tx, pair.account, given_up)


def ends(pair: Pair) -> list[tuple[Side, str, str]]:
    """Where a create may have been announced, and for which item, when the two are found to be one."""
    item = qualified(pair.ecs_collection, pair.ecs_id)
    return [(Side.CRM, pair.crm_collection, item), (Side.ECS, pair.ecs_collection, pair.crm_id)]


def give_up(tx: Tx, account: str, announced: Iterable[tuple[Side, str, str]]) -> None:
    """The creates that were announced on a side, in a collection, for an item of the other side, will not be
    repeated."""
    wanted = frozenset(announced)
    found = (i for i in tx.intents.open(account) if i.action == Action.CREATE and i.pair_id is None)
    tx.intents.close([i.id for i in found if (i.side, i.collection, i.item) in wanted])


def give_up_again(tx: Tx, account: str, pair_ids: Collection[int]) -> None:
    """The creates that were announced to make a lost half of these pairs again will not be repeated."""
    found = (i for i in tx.intents.open(account) if i.action == Action.CREATE)
    tx.intents.close([i.id for i in found if i.pair_id in pair_ids])
