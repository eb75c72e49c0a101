"""Echoes: our own writes to the CRM coming back, and touches that changed no column. They cost no look at the ECS side.

A CRM that answers a write without the record's new version tells of it at the next poll, and the poll brings the whole
record along: it shows whether there is anything to look at.
"""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.notes import Notes
from crmsync.daemon.cycle.work import Work, baseline, rules_of
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Direction


def without_echoes(cx: Context, works: Sequence[Work]) -> list[Work]:
    """The works in which something may have changed; of the others, the new version is noted."""
    suspects = [w for w in works if _suspected(w)]
    if not suspects or cx.dry:
        return list(works)
    with cx.state.reading() as tx:
        snapshots = tx.snapshots.get_many([w.pair.id for w in suspects])
        busy = {intent.pair_id for intent in tx.intents.open(cx.account.name)}
        busy |= {pair for pair, _, _ in tx.clocks.get([w.pair.id for w in suspects])}
    echoes: set[int] = set()
    notes = Notes()
    for work in suspects:
        pair, place = work.pair, cx.objects.get(work.pair.crm_collection)
        work.snapshot = snapshots.get(pair.id)
        if place is None or work.snapshot is None or pair.id in busy:
            continue
        record = cx.records.look(place.key, pair.crm_id, work.rows[0].version)
        if record is not None and _shows_what_was_agreed(cx, place, work, record):
            echoes.add(pair.id)
            notes.pairs.append(replace(pair, crm_version=record.version))
            notes.staying.append(pair.id)
            notes.done += work.rows
            cx.processed.setdefault(place.key, []).append(pair.crm_id)
    with cx.state.transaction() as tx:
        notes.write(tx)
    return [w for w in works if w.pair.id not in echoes]


def _suspected(work: Work) -> bool:
    """Only the CRM has news of it, and no other than that it changed."""
    return not work.pair.reason and all(
        r.side is Side.CRM and not r.gone and not r.survivor for r in work.rows
    )


def _shows_what_was_agreed(cx: Context, place: Place, work: Work, record: Record) -> bool:
    usual = record.owner == cx.user == work.pair.crm_owner and not record.untouchable
    known, rules = baseline(cx, place, work, Side.CRM), rules_of(cx, work.pair.kind)
    left_out = {n for n, rule in rules.items() if rule.direction is Direction.NONE}
    fixed = place.connector.capabilities.read_only_columns.get(work.pair.kind, frozenset())
    return usual and all(
        same(value, known[n])  # of what is not exchanged, too: it may be one day
        if n in known
        else n in left_out or n not in rules or (n in fixed and value is None)
        for n, value in record.columns.items()
    )
