"""Former partners: what looks like a newcomer and is not free, because it is linked still, or was.

A person may have deleted something and made it again; or an import did so with a whole address book.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.cycle.candidates import Likes, Pool, free_for
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.survey import Newcomer, index_row
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.match import Ambiguous, Candidate, Match, NoPartner, Partner, match
from crmsync.state.model import DISPUTED, Held, HeldState
from crmsync.state.values import qualified

LET_GO = (
    "the like of it was linked before, and that link was given up; say whether that is its partner, or whether it "
    "shall be created"
)
IN_DISPUTE = (
    "its like was deleted, and what comes of that waits for a decision: it may be that one, made again by hand or by "
    "an import"
)
DISPUTE = timedelta(minutes=5)  # until it is looked at again, if nobody has decided before


class Former:
    """``taken``: as ``candidates.spoken_for`` says."""

    def __init__(self, likes: Likes, taken: Mapping[str, frozenset[str]]) -> None:
        self._deserted, self._disputed, self._let_go = (
            Pool(some) for some in (likes.deserted, likes.disputed, likes.let_go)
        )
        self._taken = taken

    def unless_bound(
        self, cx: Context, newcomer: Newcomer, candidate: Candidate, verdict: Match, decided: Held | None
    ) -> Match | None:
        """Nothing is created while its like may yet be its partner (None: it waits for what becomes of that one), or
        before a person has said so, where a link was given up. A create that was announced is repeated in any case."""
        answered = decided is not None and decided.state is not HeldState.HELD
        if answered or not isinstance(verdict, NoPartner):
            return verdict
        deserted, disputed, let_go = (
            self._like(pool, newcomer, candidate) for pool in (self._deserted, self._disputed, self._let_go)
        )
        if not (deserted or disputed or let_go) or under_way(cx, newcomer):
            return verdict
        if disputed and not cx.dry:
            with cx.state.transaction() as tx:
                tx.queue.wait([newcomer.row.id], cx.now() + DISPUTE, DISPUTED, IN_DISPUTE)
        return None if deserted or disputed else Ambiguous(let_go, LET_GO)

    def _like(self, pool: Pool, newcomer: Newcomer, candidate: Candidate) -> tuple[str, ...]:
        near = free_for(newcomer.record.id, pool.near(candidate.keys), self._taken)
        match match(replace(candidate, born=""), near, ()):
            case Partner(id=id):
                return (id,)
            case Ambiguous(ids=ids):
                return ids
            case NoPartner():
                return ()


def make_known(cx: Context, works: Iterable[Work]) -> None:
    """To the match, as they stand: items that lose their record, or their link. Those that were made for a record were
    known to nobody before, and others may have another address by now."""
    found = [(w.pair, w.ecs) for w in works if isinstance(w.ecs, Record)]
    if cx.dry or not found:
        return
    with cx.state.transaction() as tx:
        for pair, item in found:
            tx.index.put(pair.account, pair.ecs_collection, [index_row(cx, item)])


def under_way(cx: Context, newcomer: Newcomer) -> bool:
    """Its partner is being made just now, and the answer was lost."""
    with cx.state.reading() as tx:
        open_ones = tx.intents.open(cx.account.name)
    id = newcomer.record.id
    item = qualified(newcomer.place.key, id) if newcomer.side is Side.ECS else id
    return any(i.item == item and i.side is newcomer.side.other for i in open_ones)
