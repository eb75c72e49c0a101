"""Doubt: our state is older than what we have written. It was lost, restored from a backup, or its last commits were.

While it lasts, what looks like news may be something that we have forgotten: a record without a card may be one whose
card was deleted, an edit may be one that we carried over ourselves. Such things are held for a person. It ends with the
first sync that has seen everything.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from crmsync.connectors.abilities import Settling
from crmsync.connectors.contract import Gone, Record, Side
from crmsync.daemon.cycle.context import Context, Place, bears_stamps
from crmsync.daemon.cycle.work import Work
from crmsync.state.database import State
from crmsync.state.transaction import Tx
from crmsync.state.witness import Seen, Witness

_INCARNATION = "incarnation"
CODE = "state_older"
FORGOTTEN = "the other side may have been edited since, but our state is older than the last sync"
TOLD_FOR = timedelta(days=1)  # how long ``status`` tells of it, at least
_HELD = "what cannot be told from something forgotten is held: see crmsync conflicts, deletions and matches"


@dataclass(frozen=True, slots=True)
class Doubt:
    since: datetime
    why: str
    over: bool = False

    @property
    def sentence(self) -> str:
        return f"{self.why}; it is rebuilt from the link stamps, and {_HELD}"


def current(tx: Tx, account: str) -> Doubt | None:
    """The last one, over or not."""
    noted = tx.meta.get(_key(account))
    return _read(noted) if noted else None


def all_current(tx: Tx) -> dict[str, Doubt]:
    """By account."""
    beginning = _key("")
    return {key.removeprefix(beginning): _read(noted) for key, noted in tx.meta.listing(beginning).items()}


def compare(state: State, witness: Witness, account: str, now: datetime) -> Doubt | None:
    """What the witness beside the key says about the state: a doubt that begins now, or None. The caller holds the
    account's lock."""
    seen = witness.last(account)
    with state.reading() as tx:
        there = _reached(tx, account)
    if seen is None or seen == there or (seen.incarnation == there.incarnation and seen.cycle < there.cycle):
        return None
    why = (
        f"the state is older than the last sync: it ends with cycle {there.cycle} of this account, and cycle "
        f"{seen.cycle} was seen"
        if seen.incarnation == there.incarnation
        else "the state was made anew, or replaced, since the last sync of this account"
    )
    doubt = Doubt(now, why)
    with state.transaction() as tx:
        _put(tx, account, doubt)
        tx.cycles.skip_to(witness.furthest())  # people and logs know the lost ones by their numbers
        # another database than the one it replaces, and than the one that the other accounts have seen
        tx.meta.put(_INCARNATION, uuid.uuid4().hex)
    return doubt


def testify(state: State, witness: Witness, account: str) -> None:
    """Let the witness know how far the state has come."""
    with state.reading() as tx:
        there = _reached(tx, account)
    if not there.incarnation:
        there = replace(there, incarnation=uuid.uuid4().hex)
        with state.transaction() as tx:
            tx.meta.put(_INCARNATION, there.incarnation)
    witness.note(account, there)


def begin(cx: Context) -> None:
    """The doubt that is under way goes with the cycle."""
    with cx.state.reading() as tx:
        doubt = current(tx, cx.account.name)
    cx.doubt = doubt.since if doubt is not None and not doubt.over else None


def notice(cx: Context, why: str) -> None:
    """Something shows that we have forgotten."""
    if cx.doubt is not None:
        return
    doubt = Doubt(cx.now(), why)
    cx.doubt = doubt.since
    cx.notices.append(doubt.sentence)
    with cx.state.transaction() as tx:
        _put(tx, cx.account.name, doubt)


def end(cx: Context) -> None:
    """Everything has been seen: what comes from now on is news."""
    if cx.doubt is None or cx.blind() or any(not e["item"] for e in cx.errors):
        return
    with cx.state.transaction() as tx:
        doubt = current(tx, cx.account.name)
        if doubt is not None and not tx.queue.counts(cx.account.name).pending:
            _put(tx, cx.account.name, Doubt(doubt.since, doubt.why, over=True))


def unproven(place: Place, record: Record, since: datetime | None) -> bool:
    """What this shows may be what stood there before we forgot (``since``; None: we have not)."""
    if since is None:
        return False
    return record.modified is None or record.modified - place.clock_offset() <= since


def forgotten_edit(cx: Context, work: Work) -> bool:
    """One of the two is gone, and what looks like an edit of the other one may be older than that."""
    side = Side.CRM if isinstance(work.ecs, Gone) else Side.ECS
    place = cx.place(side, work.pair.on(side).collection)
    answer = work.answer(side)
    if place is None or not isinstance(answer, Record):
        return False
    return asked(cx, work) or unproven(place, answer, cx.doubt)


def asked(cx: Context, work: Work) -> bool:
    """A person was asked about its delete, and stays asked until there is an answer: that somebody saves what is left,
    or a job touches it, is none."""
    with cx.state.reading() as tx:
        held = tx.held.for_pair([work.pair.id]).get(work.pair.id)
    return held is not None and held.reason.endswith(FORGOTTEN)


def forgotten_agreement(cx: Context, work: Work) -> bool:
    """The snapshot may not be what both sides last agreed on, or there is none although they have agreed before."""
    if work.snapshot is None:
        return work.met_before or _met_perhaps(cx, work)
    crm = cx.objects[work.pair.crm_collection]
    stamp, noted = work.record(Side.ECS).stamp, work.snapshot.crm.version
    if stamp is not None and stamp.agreed and unwritten(crm, noted, work.record(Side.CRM).version):
        return False  # whatever we have forgotten, it was not a write to this record
    return any(_unproven(cx, work))


def _met_perhaps(cx: Context, work: Work) -> bool:
    """Where items bear no stamps nothing tells that two have met before, and what is empty may have been emptied."""
    if bears_stamps(cx.places[work.pair.ecs_collection], work.pair.ecs_id):
        return False
    return all(_unproven(cx, work))


def _unproven(cx: Context, work: Work) -> Iterator[bool]:
    """Of each of the two sides, which are both there."""
    ecs, crm = cx.places[work.pair.ecs_collection], cx.objects[work.pair.crm_collection]
    yield unproven(ecs, work.record(Side.ECS), cx.doubt)
    yield unproven(crm, work.record(Side.CRM), cx.doubt)


def unwritten(place: Place, noted: str, version: str) -> bool:
    """Whether a record has still the version that was noted, as it is told now: nobody has written it, we neither."""
    connector = place.connector
    settled = connector.settled(noted) if isinstance(connector, Settling) else noted
    return bool(noted) and version in (noted, settled)


def _reached(tx: Tx, account: str) -> Seen:
    last = tx.cycles.last(account)
    return Seen(tx.meta.get(_INCARNATION) or "", last.id if last is not None else 0)


def _put(tx: Tx, account: str, doubt: Doubt) -> None:
    noted = {"since": doubt.since.isoformat(), "why": doubt.why, "over": doubt.over}
    tx.meta.put(_key(account), json.dumps(noted))


def _read(noted: str) -> Doubt:
    told = json.loads(noted)
    return Doubt(datetime.fromisoformat(told["since"]), told["why"], told["over"])


def _key(account: str) -> str:
    return f"doubt/{account}"
