"""Vouched: CRM records that are not read, because this very cycle's poll would have told of any change of theirs.

They stand as the snapshot says. A write to one carries the version that we last saw, as every write does; where the
record has changed since the poll, the CRM refuses it, and the next look reads it.
"""

from collections.abc import Sequence

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.work import Work, baseline, generation, rules_of
from crmsync.daemon.plan.terms import Direction


def vouch(cx: Context, works: Sequence[Work]) -> None:
    """Gives those works their CRM record whose record need not be read."""
    quiet = [w for w in works if _unsuspected(cx, w)]
    if not quiet or cx.doubt is not None:
        return
    ids = [w.pair.id for w in quiet]
    with cx.state.reading() as tx:
        busy = {intent.pair_id for intent in tx.intents.open(cx.account.name)}
        busy |= {pair for pair, _ in (*tx.conflicts.open_for(ids), *tx.conflicts.decided_for(ids))}
    for work in quiet:
        if work.pair.id not in busy:
            work.crm = _as_agreed(cx, work)


def _unsuspected(cx: Context, work: Work) -> bool:
    """Only the ECS side has news, of an item that is there, and all that we know of the record is agreed."""
    pair = work.pair
    return (
        pair.crm_collection in cx.polled
        and pair.crm_version != ""
        and pair.crm_owner == cx.user  # whoever's it is else, their rights are asked for
        and not pair.reason
        and all(row.side is Side.ECS for row in work.rows)
        and isinstance(work.ecs, Record)
        and generation(cx, pair, work.ecs) <= pair.generation
        and not any(side is Side.CRM for side, _ in work.clocks)
        and _covered(cx, work)
    )


def _covered(cx: Context, work: Work) -> bool:
    """Whether the snapshot knows every column that could be exchanged: else the record is read to learn of them. Of a
    column that cannot be written the CRM has had its say when the record last changed."""
    pair = work.pair
    ecs, crm = cx.places.get(pair.ecs_collection), cx.objects.get(pair.crm_collection)
    if work.snapshot is None or ecs is None or crm is None:
        return False
    held = (place.connector.capabilities.columns.get(pair.kind, frozenset()) for place in (ecs, crm))
    fixed = crm.connector.capabilities.read_only_columns.get(pair.kind, frozenset())
    rules = rules_of(cx, pair.kind)
    exchanged = {n for n, rule in rules.items() if rule.direction is not Direction.NONE}
    return exchanged.intersection(*held) - fixed <= work.snapshot.columns.keys()


def _as_agreed(cx: Context, work: Work) -> Record:
    pair, snapshot = work.pair, work.snapshot
    assert snapshot is not None
    columns = baseline(cx, cx.objects[pair.crm_collection], work, Side.CRM)
    return Record(
        pair.crm_id,
        pair.crm_version,
        pair.kind,
        columns,
        modified=snapshot.crm.modified,
        owner=pair.crm_owner,
    )
