"""A state as if everything had been synced long ago: pairs and snapshots of cards and records that are there already.

Large collections would take an hour to sync first, and what a later sync costs does not depend on how the state came
about."""

from collections import deque
from collections.abc import Mapping

from crmsync.connectors.contract import Columns, Kind, Record, Ref, Value
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes
from crmsync.daemon.engine import Engine
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Pair
from crmsync.state.snapshot import Mark, Snapshot
from tests.bench.floor import batched

TEMPLATE = 7_654_321  # number of the person from whom all others follow; the last one
_AT_ONCE = 5_000


def seed(engine: Engine) -> int:
    """The records are the partners of the accounts' cards, in the order of both; the template stands last among all
    records, and last in the first account. Returns how many there are without it."""
    count = 0
    agreed: Columns = {}
    waiting: deque[Ref] = deque()
    for account in engine.accounts.values():
        cx = engine.context(account)
        open_crm(cx)
        open_mailboxes(cx)
        (book,) = cx.places.values()
        people = cx.object_for(Kind.CONTACT)
        assert people is not None
        cards, ends = deque(book.connector.listing()), list[tuple[Ref, Ref]]()
        if not agreed:
            waiting.extend(people.connector.listing())
            ends.append((cards.pop(), waiting.pop()))
            agreed = _agreed(book, people, *ends[0])
        count += len(cards)
        ends += [(card, waiting.popleft()) for card in cards]
        for some in batched(ends, _AT_ONCE):
            with cx.state.transaction() as tx:
                pairs = tx.pairs.add_many([_pair(cx, book, people, *both) for both in some])
                tx.snapshots.put_many({p.id: _snapshot(p, _of(agreed, p.ecs_id)) for p in pairs})
    assert not waiting
    return count


def _agreed(book: Place, records: Place, card: Ref, record: Ref) -> Columns:
    """What both show of the template."""
    (ecs,), (crm,) = list(book.connector.fetch([card.id])), list(records.connector.fetch([record.id]))
    assert isinstance(ecs, Record)
    assert isinstance(crm, Record)
    both = {n: v for n, v in ecs.columns.items() if n in crm.columns and same(v, crm.columns[n])}
    assert len([v for v in both.values() if v]) > 10, both
    return both


def _of(agreed: Columns, item: str) -> Mapping[str, Value]:
    number = int(item.partition(".")[0])
    plain, digits = str(number), f"{number:07}"
    return {
        n: v.replace(str(TEMPLATE), digits if n.startswith("phone") else plain) if isinstance(v, str) else v
        for n, v in agreed.items()
    }


def _pair(cx: Context, book: Place, records: Place, card: Ref, record: Ref) -> Pair:
    return Pair(
        account=cx.account.name,
        crm=cx.crm,
        kind=Kind.CONTACT,
        ecs_collection=book.key,
        ecs_id=card.id,
        ecs_uid=f"bench-{card.id.partition('.')[0]}",
        ecs_version=card.version,
        crm_collection=records.key,
        crm_id=record.id,
        crm_version=record.version,
        crm_owner=cx.user,
        generation=1,
        linked_at=cx.now(),
        synced_at=cx.now(),
    )


def _snapshot(pair: Pair, columns: Mapping[str, Value]) -> Snapshot:
    marks = Mark(pair.ecs_id, pair.ecs_version), Mark(pair.crm_id, pair.crm_version)
    return Snapshot(pair.kind, pair.synced_at or pair.linked_at, *marks, columns)
