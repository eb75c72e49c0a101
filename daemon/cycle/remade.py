"""Made again by hand: before one half of a pair is created anew, is it there already?

A person may have made it again; or we have, nobody has heard of it, and it was edited since. Then the other half is
linked to what stands, and the two meet for the first time.
"""

from dataclasses import replace

from crmsync.connectors.contract import Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.candidates import free_for, own_items, search, spoken_for
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.givenup import make_room
from crmsync.daemon.cycle.linking import met
from crmsync.daemon.cycle.work import ADOPTED, Work, with_both_halves
from crmsync.daemon.plan.match import Candidate, Partner, match
from crmsync.state.model import Action, Detected, Pair
from crmsync.state.values import split


def linked_anew(cx: Context, work: Work, side: Side, place: Place, key: str) -> bool:
    """Whether the pair needs no create any more, or nothing can be said now. ``key``: of the create that would be sent:
    what bears it is found by its repetition."""
    candidate = replace(cx.signer.candidate(work.record(side.other)), born=key)
    try:
        verdict = match(candidate, _others(cx, work, side, place, candidate), ())
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return True  # its rows stay due
    if not isinstance(verdict, Partner):
        return False
    if cx.dry:
        cx.intend(work.pair.ecs_id, work.pair.crm_id, side, "link", {}, f"made again as {verdict.id}")
    else:
        _link(cx, work, _now(work.pair, side, verdict.id))
    return True


def _others(cx: Context, work: Work, side: Side, place: Place, candidate: Candidate) -> list[Candidate]:
    if side is Side.CRM:
        return search(cx, place, [work.record(Side.ECS)])
    with cx.state.reading() as tx:
        items = own_items(cx, tx, sorted(candidate.keys))
        return free_for(work.pair.crm_id, items, spoken_for(cx, tx, items))


def _now(pair: Pair, side: Side, id: str) -> Pair:
    """The other half carries no stamp of this link yet."""
    fresh = replace(with_both_halves(pair), id=0, ecs_version="", crm_version="", generation=0)
    if side is Side.CRM:
        return replace(fresh, crm_id=id)
    collection, item = split(id)
    return replace(fresh, ecs_collection=collection, ecs_id=item, ecs_uid="", reason=ADOPTED)


def _link(cx: Context, work: Work, pair: Pair) -> None:
    old = work.pair
    with cx.state.transaction() as tx:
        given_up = [i for i in tx.intents.open(cx.account.name) if i.pair_id == old.id]
        tx.intents.close([i.id for i in given_up if i.action == Action.CREATE])
        tx.queue.done_unless_changed(work.rows)
        tx.close(old.id, cx.now())
        make_room(cx, tx, pair)
        met(tx, [tx.pairs.add(pair)])
        woken = [Detected(pair.ecs_id, f"{old.id}#again")]
        tx.queue.record(pair.account, Side.ECS, pair.ecs_collection, woken, cx.now())
    cx.again = True
