"""A linked pair in work: what is known of it, what both sides say, and how each of them stands to the snapshot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from crmsync.connectors.abilities import Access
from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Gone, Hidden, Kind, Record, Side, Unreadable
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.reconcile import Seen
from crmsync.daemon.plan.terms import Direction, Rule, Standing
from crmsync.state.model import Change, Intent, Pair, PairState
from crmsync.state.snapshot import Snapshot
from crmsync.state.values import encode

Answer: TypeAlias = Record | Gone | Hidden | Unreadable
ADOPTED = "adopted"  # ``Pair.reason`` until the item carries the tag
BY_HAND = "linked by hand"  # likewise
SELECTED_AGAIN = "selected again"  # until it has met its record, or has one that was made anew
BROUGHT_BACK = "brought back after we had deleted its partner"  # likewise, on either side
ACTIVITIES = (Kind.PHONE_CALL, Kind.LETTER, Kind.FAX)
PROGRESS = with_group(Kind.TASK, frozenset({"status"}))
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
    taken: str = ""  # why its other half cannot be what another account has made of it
    clocks: dict[tuple[Side, str], tuple[str, datetime]] = field(default_factory=dict)  # digest, time
    underway: list[Intent] = field(default_factory=list)  # updates of the CRM that may yet arrive

    @property
    def adopted(self) -> bool:
        """Found by a match from the CRM side, or linked by hand: it gets the tag with the first write."""
        return self.pair.reason in (ADOPTED, BY_HAND)

    @property
    def again(self) -> bool:
        """The item was tagged again, or came back: the person wants a record, whatever became of the old one."""
        return self.pair.reason in (SELECTED_AGAIN, BROUGHT_BACK)

    @property
    def brought_back(self) -> bool:
        """That its partner is gone is our own doing."""
        return self.pair.reason == BROUGHT_BACK

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


def rules_of(cx: Context, kind: Kind) -> Mapping[str, Rule]:
    return cx.account.crm.rules.get(kind, {})


def linked_again(pair: Pair) -> Pair:
    """Of a link that was given up. That its record may have gone meanwhile is no delete of the item."""
    return replace(pair, state=PairState.LINKED, untagged=False, reason=SELECTED_AGAIN, crm_version="")


def with_both_halves(pair: Pair) -> Pair:
    """Once what was missing is there: what becomes of that is news."""
    return replace(pair, reason="") if pair.reason in (SELECTED_AGAIN, BROUGHT_BACK) else pair


def acted(work: Work) -> Kind:
    """What the item stands for: a task that is a phone call, a letter or a fax follows the rules of these."""
    known = work.snapshot.columns.get("activity") if work.snapshot is not None else None
    shown = (r.columns.get("activity") for r in (work.ecs, work.crm) if isinstance(r, Record))
    found = next((a for a in (*shown, known) if isinstance(a, str)), "")
    return next((k for k in ACTIVITIES if k == found), work.pair.kind)


def kept_from_crm(rule: Rule) -> Rule:
    to_ecs = rule.direction.allows(Side.ECS)
    return replace(rule, direction=Direction.TO_ECS if to_ecs else Direction.NONE)


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
    fixed = (
        columns.get(kind, frozenset())
        for columns in (capabilities.read_only_columns, capabilities.once_columns)
    )
    can_write = capabilities.columns.get(kind, frozenset()).difference(*fixed)
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
            place = cx.place(side, work.pair.on(side).collection)
            if place is not None and isinstance(work.answer(side), Record):
                standing(cx, place, work, side)
    with cx.state.transaction() as tx:
        tx.clocks.put(
            {(w.pair.id, side, column): noted for w in works for (side, column), noted in w.clocks.items()}
        )
