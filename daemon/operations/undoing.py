"""What undoing columns and undoing whole items have in common: what came of it, and what stands there now."""

import re
from dataclasses import dataclass, field
from typing import Any

from crmsync.connectors.contract import Gone, Record, Side
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.work import Answer
from crmsync.daemon.plan.reconcile import MADE_AGAIN
from crmsync.state.model import Action, Entry, Intent, Pair

UNDO = "undo of cycle "  # and its number: the reason of what an undo does
_CYCLE = re.compile(re.escape(UNDO) + r"(\d+)")


def undoes(line: Entry) -> int:
    """The cycle that this line of an undo takes back; 0: it is none of an undo."""
    found = _CYCLE.match(line.reason)
    return int(found[1]) if found else 0


@dataclass(slots=True)
class Undone:
    """What came of it; ``kept``: what was left as it is, ``partly``: what was put back without all that it had; each
    with the reason."""

    done: int = 0
    kept: list[dict[str, Any]] = field(default_factory=list)
    partly: list[dict[str, Any]] = field(default_factory=list)
    made: set[str] = field(default_factory=set)  # ids of what was put back

    def keep(self, one: Entry, reason: str) -> None:
        """The first reason is the one that is told."""
        item = one.on(one.side).id
        what = {"item": item, "side": one.side.value, "column": one.column}
        if not any(what.items() <= told.items() for told in self.kept):
            self.kept.append({**what, "reason": reason})

    def part(self, pair: Pair, side: Side) -> None:
        theirs = "record in the CRM" if side is Side.ECS else "item on the ECS side"
        reason = f"{MADE_AGAIN[side]}; the {theirs} stays deleted"
        self.partly.append({"item": pair.on(side).id, "side": side.value, "reason": reason})


def standing(cx: Context, one: Entry) -> tuple[Place, Record] | None:
    """What the entry tells of, where it was."""
    return _found(cx, one.side, one)


def followed(cx: Context, one: Entry, pair: Pair) -> tuple[Place, Record] | None:
    """What the entry tells of, where its link is by now; or, of an item, where it was, to which it may have come back
    since."""
    if (found := _found(cx, one.side, pair)) is not None or one.side is Side.CRM:
        return found
    with cx.state.reading() as tx:
        other = tx.pairs.by_ecs(pair.account, one.ecs_collection, [one.ecs_id]).get(one.ecs_id, pair)
    return _found(cx, one.side, one) if other.id == pair.id else None


def _found(cx: Context, side: Side, there: Entry | Pair) -> tuple[Place, Record] | None:
    place, answer = _looked(cx, side, there)
    return (place, answer) if place is not None and isinstance(answer, Record) else None


def _looked(cx: Context, side: Side, there: Entry | Pair) -> tuple[Place | None, Answer | None]:
    """None where its collection cannot be reached."""
    key, id = there.on(side)
    place = cx.place(side, key)
    return place, fetch(cx, place, [id]).get(id) if place is not None else None


def is_gone(cx: Context, one: Entry) -> bool:
    """The server says that what the entry tells of is not there any more. What it does not show, or cannot, may be."""
    return isinstance(_looked(cx, one.side, one)[1], Gone)


def pair_of(cx: Context, one: Entry) -> Pair | None:
    if one.pair_id is None:
        return None
    with cx.state.reading() as tx:
        return tx.pairs.get(one.pair_id)


def announced(
    cx: Context, one: Entry, action: Action, found: tuple[Place, Record] | None = None
) -> Intent | None:
    """What an interrupted undo has announced for the item (where it was found by now), and nobody has heard of."""
    key, id = (found[0].key, found[1].id) if found else one.on(one.side)
    with cx.state.reading() as tx:
        sent = tx.intents.open_for(one.account, one.side, key, [id]).get(id)
    return sent if sent is not None and sent.action == action else None
