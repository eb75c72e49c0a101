"""How a story ends: what stands on both sides and in the state, ids and times aside, and whether two are the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from crmsync.connectors.memory.native import Item
from crmsync.state.model import Pair, PairState
from tests.daemon.machine.house import House

LOSERS = "lost a conflict"
Ending: TypeAlias = Mapping[str, Sequence[Any]]


def ending_of(house: House) -> Ending:
    """What stands on both sides and in the state, ids and times aside."""
    engine = house.engine
    names = {
        i.id: f"{server}:{i.columns['first_name']}" for server in house.servers for i in house.items(server)
    }
    log = engine.conflicts()

    def n(conflict: Mapping[str, Any]) -> str:
        return names.get(conflict["item"], "gone")

    with house.state.reading() as tx:
        pairs = tx.pairs.listing("alice")
        intents = tx.intents.open("alice")
    return {
        "items": sorted(
            (_shown(server, i) for server in house.servers for i in house.items(server)), key=repr
        ),
        "links": sorted(
            (names.get(p.ecs_id, "gone"), names.get(p.crm_id, "gone"), p.state.value, _stamped(house, p))
            for p in pairs
            if p.state is PairState.LINKED
            or {p.ecs_id, p.crm_id} & names.keys()  # else it says nothing any more
        ),
        "undecided": sorted(
            ((n(c), c["column"], c["ecs"], c["crm"]) for c in log if not c["resolved"]), key=repr
        ),
        LOSERS: sorted({(n(c), c["column"], _loser(c)) for c in log if c["winner"] is not None}, key=repr),
        "held": sorted(
            (names.get(m["item"]) or names.get(m["record"], "gone") for m in engine.matches()), key=repr
        ),
        "waiting": sorted((names.get(q["item"], "gone"), q["side"], q["state"]) for q in engine.queue()),
        "intents": sorted((i.side.value, i.action) for i in intents),
    }


def _loser(conflict: Mapping[str, Any]) -> object:
    return conflict["ecs"] if conflict["winner"] == "crm" else conflict["crm"]


def alike(found: Ending, wanted: Ending | str) -> bool:
    """What lost a conflict stands in the log. Where nobody knows whether a write arrived, more may stand there: what
    was there before it, and what came after it."""
    if isinstance(wanted, str):
        return False
    same = all(found[what] == wanted[what] for what in wanted if what != LOSERS)
    return same and set(found[LOSERS]) >= set(wanted[LOSERS])


def _shown(server: str, item: Item) -> object:
    columns = {n: v for n, v in sorted(item.columns.items()) if v is not None}
    return server, item.collection, sorted(item.tags), columns


def _stamped(house: House, pair: Pair) -> bool:
    """The item says itself what it is linked to."""
    item = next((i for i in house.items("alice") if i.id == pair.ecs_id), None)
    return item is not None and item.stamp is not None and item.stamp.record == pair.crm_id


def without(ending: Ending, names: frozenset[str]) -> Ending:
    return {
        what: [one for one in some if not any(n in repr(one) for n in names)] for what, some in ending.items()
    }


def paired(ending: Ending, name: str, most: int) -> bool:
    """As many on the one side as on the other, every one linked, and no more than there may be."""
    items = [one[0] for one in ending["items"] if name in repr(one)]
    linked = ending["links"].count((f"alice:{name}", f"crm:{name}", "linked", True))
    return items.count("alice") == items.count("crm") == linked <= most


def difference(found: Ending, wanted: Ending) -> str:
    said = []
    for what in wanted:
        mine, theirs = Counter(map(repr, found[what])), Counter(map(repr, wanted[what]))
        if mine != theirs:
            more, less = (list(c.elements()) for c in (mine - theirs, theirs - mine))
            said.append(f"{what}: too much {more}, missing {less}")
    return "; ".join(said)
