"""Load: fetch both native items of linked pairs, in batches, and see what became of each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from crmsync.connectors.contract import (
    Access,
    Columns,
    Gone,
    Hidden,
    Kind,
    Record,
    Side,
    Unreadable,
)
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.opening import restricting
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.reconcile import Seen
from crmsync.daemon.plan.terms import Direction, Rule, Standing
from crmsync.state.model import Change, Pair, PairState
from crmsync.state.snapshot import Snapshot
from crmsync.state.values import encode

Answer: TypeAlias = Record | Gone | Hidden | Unreadable
ADOPTED = "adopted"  # ``Pair.reason`` until the item carries the tag
BY_HAND = "linked by hand"  # likewise
FULL_ACCESS = Access(read=True, edit=True, delete=True)


@dataclass(slots=True)
class Work:
    """A linked pair with everything that is needed to decide about it."""

    pair: Pair
    rows: list[Change]
    snapshot: Snapshot | None = None
    ecs: Answer | None = None
    crm: Answer | None = None
    access: Access = FULL_ACCESS
    again: bool = (
        False  # the item was tagged again: the person wants a record, whatever became of the old one
    )
    clocks: dict[tuple[Side, str], tuple[str, datetime]] = field(default_factory=dict)  # digest, time

    @property
    def adopted(self) -> bool:
        """Found by a match from the CRM side, or linked by hand: it gets the tag with the first write."""
        return self.pair.reason in (ADOPTED, BY_HAND)

    @property
    def met_before(self) -> bool:
        """The item's stamp names this very record. It need not verify (the key may be lost together with the state):
        nothing is done for it but to be more careful."""
        stamp = self.ecs.stamp if isinstance(self.ecs, Record) else None
        return stamp is not None and (stamp.record, stamp.uid) == (
            self.pair.crm_id,
            self.record(Side.ECS).uid,
        )

    @property
    def given_up(self) -> bool:
        """Found by a match, but linked before we lost our state, and untagged since."""
        return self.pair.reason == ADOPTED and self.met_before

    def answer(self, side: Side) -> Answer | None:
        return self.ecs if side is Side.ECS else self.crm

    def record(self, side: Side) -> Record:
        answer = self.answer(side)
        assert isinstance(answer, Record)
        return answer


def load(cx: Context, works: Sequence[Work]) -> list[Work]:
    """Those of the works for which both sides answered; a conversation that failed leaves its rows for later."""
    with cx.state.reading() as tx:
        snapshots = tx.snapshots.get_many([w.pair.id for w in works])
        clocks = tx.clocks.get([w.pair.id for w in works])
    by_pair: dict[int, dict[tuple[Side, str], tuple[str, datetime]]] = defaultdict(dict)
    for (pair, side, column), seen in clocks.items():
        by_pair[pair][side, column] = seen
    for work in works:
        work.snapshot = snapshots.get(work.pair.id)
        work.clocks = by_pair.get(work.pair.id, {})
    _load_side(cx, works, Side.ECS)
    _load_side(cx, works, Side.CRM)
    _follow_moves(cx, works)
    _follow_survivors(cx, works)
    _check_access(cx, works)
    return [w for w in works if w.ecs is not None and w.crm is not None]


def fetch(cx: Context, place: Place, ids: Sequence[str]) -> dict[str, Answer]:
    """One answer per id. Raises ConnectorError."""
    answers: dict[str, Answer] = {}
    for answer in place.connector.fetch(ids):
        answers[answer.id] = cx.account.shown(answer) if isinstance(answer, Record) else answer
    cx.progress("loaded", len(ids))
    return answers


def _load_side(cx: Context, works: Sequence[Work], side: Side) -> None:
    by_place: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        by_place[work.pair.ecs_collection if side is Side.ECS else work.pair.crm_collection].append(work)
    for key, some in by_place.items():
        place = cx.place(side, key)
        if place is None:
            continue  # its login or collection failed in this cycle, and that has been said
        try:
            _load_place(cx, place, some, side)
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)


def _load_place(cx: Context, place: Place, works: Sequence[Work], side: Side) -> None:
    wanted = []
    for work in works:
        id = _id(work.pair, side)
        row = next((r for r in work.rows if r.side is side), None)
        cached = cx.records.take(place.key, id, row.version) if row is not None else None
        if cached is not None:
            _set(work, side, cx.account.shown(cached) if side is Side.ECS else cached)
        else:
            wanted.append(work)
    if not wanted:
        return
    answers = fetch(cx, place, [_id(w.pair, side) for w in wanted])
    for work in wanted:
        _set(work, side, answers.get(_id(work.pair, side), Hidden(_id(work.pair, side))))
    if side is Side.ECS and any(_denied(w) for w in wanted):
        _doubt(cx, place)


def _denied(work: Work) -> bool:
    """It is there, although a listing or the server's list of deletes said otherwise."""
    return isinstance(work.ecs, Record) and any(r.side is Side.ECS and r.gone for r in work.rows)


def _doubt(cx: Context, place: Place) -> None:
    """What was left out once may not have been all: the collection is listed anew, and until then proves nothing."""
    cx.doubted.add(place.key)
    cx.again = True
    with cx.state.transaction() as tx:
        tx.cursors.remove(cx.scope(place))


def _id(pair: Pair, side: Side) -> str:
    return pair.ecs_id if side is Side.ECS else pair.crm_id


def _set(work: Work, side: Side, answer: Answer) -> None:
    if side is Side.ECS:
        work.ecs = answer
    else:
        work.crm = answer


def _follow_moves(cx: Context, works: Sequence[Work]) -> None:
    """An item that is gone from its collection, but stands in another one with the same UID, was moved. What else was
    done to it there counts: it may have lost its tag, or a person may still be editing it."""
    gone = [w.pair for w in works if isinstance(w.ecs, Gone)]
    if not gone:
        return
    account = cx.account.name
    lost = {w.pair.ecs_uid: w for w in works if isinstance(w.ecs, Gone) and w.pair.ecs_uid}
    with cx.state.transaction() as tx:
        for pair in gone:  # nobody's partner any more
            tx.index.drop(account, pair.ecs_collection, [pair.ecs_id])
        rows = tx.index.by_uids(account, lost)
        taken = {(r.collection, r.item) for r in rows if tx.pairs.by_ecs(account, r.collection, [r.item])}
    for row in rows:
        work, place = lost[row.uid], cx.places.get(row.collection)
        if (row.collection, row.item) not in taken and place is not None and isinstance(work.ecs, Gone):
            try:
                _move(cx, work, place, fetch(cx, place, [row.item]).get(row.item, Hidden(row.item)))
            except ConnectorError as error:
                cx.broke(f"“{place.label}”", error, place.login)
                work.ecs = None


def _move(cx: Context, work: Work, place: Place, found: Answer) -> None:
    if not isinstance(found, Record) or found.uid != work.pair.ecs_uid:
        return
    work.ecs = found
    work.pair = replace(work.pair, ecs_collection=place.key, ecs_id=found.id, ecs_version="")
    with cx.state.transaction() as tx:
        tx.pairs.save(work.pair)
        work.rows += tx.queue.get(cx.account.name, Side.ECS, place.key, [found.id])


def _follow_survivors(cx: Context, works: Sequence[Work]) -> None:
    """A record that was merged or converted lives on in another one, and so does the link."""
    for work in works:
        survivor = work.crm.survivor if isinstance(work.crm, Gone) else ""
        survivor = survivor or next((r.survivor for r in work.rows if r.survivor), "")
        if not survivor or not isinstance(work.crm, Gone):
            continue
        place = cx.objects[work.pair.crm_collection]
        with cx.state.reading() as tx:
            taken = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, [survivor])
        if taken:
            work.crm = Hidden(work.pair.crm_id)  # unlinked, not deleted: its twin is linked already
            continue
        try:
            answer = fetch(cx, place, [survivor]).get(survivor, Hidden(survivor))
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            work.crm = None
            continue
        work.pair = replace(work.pair, crm_id=survivor, crm_version="")
        work.crm = answer
        with cx.state.transaction() as tx:
            tx.pairs.save(work.pair)


def _check_access(cx: Context, works: Sequence[Work]) -> None:
    """What the account's own CRM user may not see is hidden here too, whatever our login sees."""
    by_place: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if isinstance(work.crm, Record) and work.crm.owner != cx.user:
            by_place[work.pair.crm_collection].append(work)
    for key, some in by_place.items():
        place = cx.objects[key]
        try:
            granted = rights(cx, place, [w.pair.crm_id for w in some])
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            for work in some:
                work.crm = None
            continue
        for work, access in zip(some, granted, strict=True):
            work.access = access
            if not access.read:
                work.crm = Hidden(work.pair.crm_id)


def rights(cx: Context, place: Place, ids: Sequence[str]) -> list[Access]:
    """Of the account's CRM user, in the order of the ids. Raises ConnectorError."""
    connector = restricting(place)
    if connector is None:
        return [FULL_ACCESS] * len(ids)
    granted = connector.access(cx.user, ids)
    return [granted.get(id, Access(read=False, edit=False, delete=False)) for id in ids]


# ── What was seen ────────────────────────────────────────────────────────────────────────────────────────────


def rules_of(cx: Context, kind: Kind) -> Mapping[str, Rule]:
    return cx.account.crm.rules.get(kind, {})


def baseline(cx: Context, place: Place, work: Work, side: Side) -> Columns:
    """The snapshot as this side would show it: what it keeps instead, or what its mapping makes of the value."""
    if work.snapshot is None:
        return {}
    columns, kept = work.snapshot.columns, work.snapshot.kept.get(side, {})
    shown = place.connector.project(work.pair.kind, columns)
    return {n: kept[n] if n in kept else shown.get(n, v) for n, v in columns.items()}


def standing(cx: Context, place: Place, work: Work, side: Side, *, writable: bool = True) -> Standing:
    record, kind = work.record(side), work.pair.kind
    known = baseline(cx, place, work, side)
    capabilities = place.connector.capabilities
    columns = {n: v for n, v in record.columns.items() if n in capabilities.columns.get(kind, ())}
    masked = side is Side.ECS and cx.account.masks(record)
    can_write = capabilities.columns.get(kind, frozenset()) - capabilities.read_only_columns.get(
        kind, frozenset()
    )
    if masked:
        can_write = frozenset()  # by the account's rule, and for want of no right
    allowed = writable and capabilities.writable
    return Standing(
        columns=columns,
        baseline=known,
        writable=can_write if allowed else frozenset(),
        project=lambda some: place.connector.project(kind, some),
        clocks=_clocks(cx, place, work, side, columns, known),
        barred=frozenset() if allowed else can_write,
    )


def _clocks(
    cx: Context, place: Place, work: Work, side: Side, columns: Columns, known: Columns
) -> dict[str, datetime]:
    """When each changed column's value was last seen to change: as observed before, or now, by the server's time."""
    record = work.record(side)
    told = record.modified - place.clock_offset() if record.modified else None
    clocks = {}
    for name, value in columns.items():
        if name in known and same(value, known[name]):
            continue
        digest = cx.signer.hashed(name, encode(value) or "")
        before = work.clocks.get((side, name))
        if before is None or before[0] != digest:
            before = (digest, told or cx.now())
            work.clocks[side, name] = before
        # a server that tells of times only when asked: the item's last change is none of this column's later on
        clocks[name] = min(before[1], told) if told else before[1]
    return clocks


def seen(cx: Context, work: Work, side: Side, standing: Standing | None) -> Seen:
    answer = work.answer(side)
    if isinstance(answer, Gone):
        return Seen.GONE
    if not isinstance(answer, Record):
        return Seen.HIDDEN
    if answer.untouchable or (side is Side.ECS and cx.account.keeps_out(answer)):
        return Seen.LEFT
    wanted = work.adopted and not work.given_up
    if side is Side.ECS and not wanted and not cx.account.selected(answer):
        return Seen.UNTAGGED
    assert standing is not None
    rules = rules_of(cx, work.pair.kind)
    watched = [
        n
        for n in standing.columns
        if n in standing.baseline and n in rules and rules[n].direction is not Direction.NONE
    ]
    return Seen.EDITED if standing.changed(watched) else Seen.SAME


def generation(cx: Context, pair: Pair, record: Record) -> int:
    """Of the item's link stamp, where it is ours, and of this very link."""
    stamp = record.stamp
    if stamp is None or stamp.record != pair.crm_id:
        return 0
    return stamp.generation if cx.signer.verifies(cx.account.name, record.uid, stamp) else 0


def observe(cx: Context, works: Iterable[Work]) -> None:
    """Note which columns have changed by now, for items that are still being edited (settle time): their clocks must
    not move when another column of the same item is edited later."""
    for work in works:
        if work.pair.state is not PairState.LINKED:
            continue
        for side in Side:
            place = cx.place(side, work.pair.ecs_collection if side is Side.ECS else work.pair.crm_collection)
            if place is not None and isinstance(work.answer(side), Record):
                standing(cx, place, work, side)
    with cx.state.transaction() as tx:
        tx.clocks.put(
            {(w.pair.id, side, column): noted for w in works for (side, column), noted in w.clocks.items()}
        )
