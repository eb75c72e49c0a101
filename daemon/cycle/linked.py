"""Linked pairs: merge column by column, write, confirm.

CRM -> ECS first, then ECS -> CRM. What the pair's fate is beyond a merge (a delete, an unlink) is handed to
``removals``, because a storm of them has to be seen as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crmsync.connectors.contract import Columns, Gone, Record, Side, Stamp, Unreadable, Update
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.barred import foretell
from crmsync.daemon.cycle.confirm import Draft, confirm
from crmsync.daemon.cycle.context import Context, Place, bears_stamps
from crmsync.daemon.cycle.dating import dated
from crmsync.daemon.cycle.echo import without_echoes
from crmsync.daemon.cycle.fates import (
    STAYS,
    forget,
    leave,
    look_again,
    looked_before,
    park_unreadable,
    receives,
    recreate,
    unmeet,
)
from crmsync.daemon.cycle.former import make_known
from crmsync.daemon.cycle.load import load
from crmsync.daemon.cycle.meetings import Copy, barred, come, copies, is_copy_of, rules_for, with_addresses
from crmsync.daemon.cycle.owners import owner_account
from crmsync.daemon.cycle.recover import item_is_older, overwritten, record_is_older, recover, state_is_older
from crmsync.daemon.cycle.shared import follow_others
from crmsync.daemon.cycle.strangers import relate
from crmsync.daemon.cycle.unagreed import item_says_more, record_says_more
from crmsync.daemon.cycle.underway import withdrawals
from crmsync.daemon.cycle.waiting import told_enough
from crmsync.daemon.cycle.work import (
    PROGRESS,
    Work,
    acted,
    generation,
    kept_from_crm,
    observe,
    rules_of,
    seen,
    standing,
)
from crmsync.daemon.plan.merge import merge
from crmsync.daemon.plan.reconcile import (
    UNSEEN,
    Ask,
    DeleteOn,
    Forget,
    Leave,
    Merge,
    Recreate,
    Seen,
    Ties,
    Unlink,
    decide,
)
from crmsync.daemon.plan.terms import Held, Merged, Policy, Standing, Verdict
from crmsync.state.model import Conflict
from crmsync.state.snapshot import Mark, Snapshot, to_text


@dataclass(slots=True)
class Removal:
    """A pair that shall be deleted on one side, or unlinked; decided, not done."""

    work: Work
    fate: DeleteOn | Unlink
    ask: bool = False  # whether it is one, a person has to say


def sync_linked(cx: Context, works: Sequence[Work]) -> list[Removal]:
    """Bring linked pairs in step. Returns what has to be removed, for the guard to judge as a whole."""
    removals: list[Removal] = []
    drafts: list[Draft] = []
    loaded = told_enough(cx, load(cx, without_echoes(cx, works)))
    follow_others(cx, loaded)
    loaded = [w for w in loaded if w.ecs is not None and w.crm is not None]
    recover(cx, loaded)
    loaded = with_addresses(cx, dated(cx, relate(cx, loaded)))
    decisions = _decisions(cx, loaded)
    meetings = Meetings(copies(cx, loaded), come(cx, loaded))
    for work in loaded:
        if isinstance(work.ecs, Unreadable) or isinstance(work.crm, Unreadable):
            park_unreadable(cx, work)
            continue
        if work.snapshot is None and Gone in (type(work.ecs), type(work.crm)):
            unmeet(cx, work)
            continue
        fate, standings = _fate(cx, work, meetings.copies.get(work.pair.id))
        match fate:
            case Merge():
                drafts.append(_merge(cx, work, standings, decisions, meetings))
            case Unlink(reason=reason) if reason == UNSEEN and not looked_before(work):
                look_again(cx, work)
            case DeleteOn() | Unlink():
                removals.append(Removal(work, fate))
            case Ask(fate=fate):
                removals.append(Removal(work, fate, ask=True))
            case Recreate(side=side, reason=reason):
                recreate(cx, work, side, reason)
            case Forget():
                forget(cx, work)
            case Leave():
                leave(cx, work)
    _bring_in_step(cx, drafts)
    make_known(cx, [r.work for r in removals])
    return removals


def watch_unsettled(cx: Context, works: Sequence[Work]) -> None:
    """Items that a person may still be editing: nothing is decided, only noted which columns have changed by now."""
    observe(cx, load(cx, works))


# ── Deciding ─────────────────────────────────────────────────────────────────────────────────────────────────


def _fate(cx: Context, work: Work, copy: Copy | None) -> tuple[object, dict[Side, Standing]]:
    standings = {}
    if isinstance(work.ecs, Record):
        place = cx.places[work.pair.ecs_collection]
        standings[Side.ECS] = standing(cx, place, work, Side.ECS)
    if isinstance(work.crm, Record):
        place = cx.objects[work.pair.crm_collection]
        standings[Side.CRM] = standing(cx, place, work, Side.CRM, writable=work.access.edit)
    if work.taken:
        return Unlink(work.taken), standings
    ecs, crm = (seen(cx, work, side, standings.get(side)) for side in Side)
    if crm is Seen.GONE and ecs is Seen.SAME and item_says_more(cx, work, standings[Side.ECS]):
        ecs = Seen.EDITED
    if ecs is Seen.GONE and crm is Seen.SAME and record_says_more(cx, work, standings[Side.CRM]):
        crm = Seen.EDITED
    if ecs is Seen.GONE and crm is Seen.EDITED and record_is_older(cx, work):
        crm = Seen.SAME  # what a restored CRM shows must not bring the item back
    if copy is not None and ecs is Seen.EDITED and (copy.mute or work.pair.crm_owner != cx.user):
        ecs = Seen.SAME  # it does not speak for the record, and must not make it again
    if Seen.GONE in (ecs, crm) and doubt.forgotten_edit(cx, work):
        ecs, crm = (Seen.UNSURE if s is Seen.EDITED else s for s in (ecs, crm))
    fate = _missing_again(work, ecs, crm) or decide(ecs, crm, _ties(cx, work, ecs, crm))
    if isinstance(fate, DeleteOn) and (cx.doubt is not None or doubt.asked(cx, work)):
        fate = Ask(fate)  # it may have been unlinked, or linked by another account, or edited and edited back
    if isinstance(fate, Recreate) and fate.side is Side.ECS and not receives(cx, work):
        fate = STAYS
    return fate, standings


def _missing_again(work: Work, ecs: Seen, crm: Seen) -> Recreate | None:
    """Of a pair in which one half is wanted again: that the other one is gone is no news."""
    if work.again and crm is Seen.GONE and ecs.there:
        return Recreate(Side.CRM, f"{work.pair.reason}, and its record is gone")
    if work.brought_back and ecs is Seen.GONE and crm.there:
        return Recreate(Side.ECS, f"{work.pair.reason}, and its item is gone")
    return None


def _ties(cx: Context, work: Work, ecs: Seen, crm: Seen) -> Ties:
    """Asked only where a delete is in question: it costs a look at the other accounts."""
    if Seen.GONE not in (ecs, crm):
        return Ties()
    pair = work.pair
    with cx.state.reading() as tx:
        others = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, [])
    owner = getattr(work.crm, "owner", "") or pair.crm_owner
    ecs_writable = cx.places[pair.ecs_collection].connector.capabilities.writable
    return Ties(
        rule=cx.account.delete_rule(acted(work)),
        owned=owner == cx.user,
        elsewhere=any(not cx.account.is_theirs(p.account) and not is_copy_of(pair, p) for p in others),
        deletable=work.access.delete if ecs is Seen.GONE else ecs_writable,
    )


@dataclass(frozen=True, slots=True)
class Meetings:
    """What is special about meetings with other people, by pair."""

    copies: Mapping[int, Copy]
    come: Mapping[int, Mapping[str, frozenset[str]]]  # and by column


@dataclass(slots=True)
class Decisions:
    """What people have decided, or still have to, by pair and column."""

    held: dict[tuple[int, str], Conflict]
    chosen: dict[tuple[int, str], Conflict]


def _decisions(cx: Context, works: Sequence[Work]) -> Decisions:
    ids = [w.pair.id for w in works]
    with cx.state.reading() as tx:
        return Decisions(tx.conflicts.open_for(ids), tx.conflicts.decided_for(ids))


def _merge(
    cx: Context,
    work: Work,
    standings: dict[Side, Standing],
    decisions: Decisions,
    meetings: Meetings,
) -> Draft:
    pair, copy = work.pair, meetings.copies.get(work.pair.id)
    older = state_is_older(cx, work)
    if older:
        doubt.notice(cx, "an item carries a link stamp that is newer than the state")
    restored = (
        older or item_is_older(cx, work) or record_is_older(cx, work) or doubt.forgotten_agreement(cx, work)
    )
    rules = rules_for(copy, rules_of(cx, pair.kind))
    standings[Side.ECS] = barred(copy, standings[Side.ECS])
    if acted(work) in cx.account.kept_open:
        rules = {n: kept_from_crm(r) if n in PROGRESS else r for n, r in rules.items()}
    if (
        restored
    ):  # our snapshot is not what both sides last agreed on: every difference is held, one-way columns too
        standings = {side: replace(s, baseline={}) for side, s in standings.items()}
        rules = {n: replace(rule, conflict=Policy.ASK) for n, rule in rules.items()}
    merged = merge(
        pair.kind,
        work.snapshot.columns if work.snapshot and not restored else None,
        standings[Side.ECS],
        standings[Side.CRM],
        rules,
        first_link=Policy.ASK if restored else cx.account.first_link,
        fill=not restored,
        held={c: Held(h.ecs, h.crm) for (p, c), h in decisions.held.items() if p == pair.id},
        decided={c: d.chosen for (p, c), d in decisions.chosen.items() if p == pair.id},
        considered={c: Held(d.ecs, d.crm) for (p, c), d in decisions.chosen.items() if p == pair.id},
        come=meetings.come.get(pair.id),
    )
    return _draft(cx, work, merged)


def _draft(cx: Context, work: Work, merged: Merged) -> Draft:
    going = {side: cx.grant.part(side, work.pair.kind, merged.writes(side)) for side in Side}
    withheld = {side: frozenset(merged.writes(side)) - frozenset(going[side]) for side in Side}
    tasks = _tasks(cx, work, merged, going, whole=not any(withheld.values()))
    return Draft(work, merged, tasks, withheld)


def _tasks(
    cx: Context, work: Work, merged: Merged, going: Mapping[Side, Columns], *, whole: bool
) -> dict[Side, Task]:
    """``going``: what may be written now; ``whole``: it is all that there is to write."""
    pair = work.pair
    tasks: dict[Side, Task] = {}
    if not cx.grant.touches(pair.kind):
        return tasks
    ecs_place, crm_place = cx.places[pair.ecs_collection], cx.objects[pair.crm_collection]
    stamp = _stamp(cx, ecs_place, work, merged, whole=whole)
    tag = cx.account.tag if work.adopted and not cx.account.selected(work.record(Side.ECS)) else ""
    outdated = pair.generation == 0 or item_is_older(cx, work)
    if going[Side.ECS] or tag or (stamp is not None and outdated):
        version = work.record(Side.ECS).version
        write = Update(pair.ecs_id, version, pair.kind, going[Side.ECS], stamp=stamp, tag=tag)
        tasks[Side.ECS] = _task(ecs_place, Side.ECS, write, work, merged)
    back = cx.grant.part(Side.CRM, pair.kind, withdrawals(work, going[Side.CRM]))
    if going[Side.CRM] or back:
        original = work.record(Side.ECS) if "attachments" in going[Side.CRM] else None
        version = work.record(Side.CRM).version
        columns = {**going[Side.CRM], **back}
        clocks = {n: seen[1] for (side, n), seen in work.clocks.items() if side is Side.ECS}
        change = Update(pair.crm_id, version, pair.kind, columns, original=original, clocks=clocks)
        tasks[Side.CRM] = _task(crm_place, Side.CRM, change, work, merged)
        tasks[Side.CRM].replaces = [i.id for i in work.underway]
    return tasks


def _task(place: Place, side: Side, write: Update, work: Work, merged: Merged) -> Task:
    wanted = Verdict.TO_ECS if side is Side.ECS else Verdict.TO_CRM
    reasons = dict.fromkeys(d.reason for d in merged.decisions if d.verdict is wanted)
    otherwise = "link stamp" if side is Side.ECS else "an earlier write is not wanted any more"
    return Task(
        place,
        side,
        write,
        item=write.id,
        kind=work.pair.kind,
        native=overwritten(work.record(side), write),
        reason="; ".join(reasons) or otherwise,
        pair_id=work.pair.id,
        ecs_id=work.pair.ecs_id,
        crm_id=work.pair.crm_id,
    )


def _stamp(cx: Context, place: Place, work: Work, merged: Merged, *, whole: bool) -> Stamp | None:
    """The stamp that the next write to the item carries."""
    if not bears_stamps(place, work.pair.ecs_id) or not place.connector.capabilities.writable:
        return None
    if owner_account(cx, place) is not None:
        return None  # there is room for one, and it is the owner's account that has to find its link by it
    record = work.record(Side.ECS)
    next_one = max(work.pair.generation, generation(cx, work.pair, record)) + 1
    # what version that makes is not known yet
    agreed = "" if merged.to_crm or not whole else _agreed(cx, place, work, merged)
    return cx.signer.stamp(cx.account.name, cx.organisation, work.pair.crm_id, record.uid, next_one, agreed)


def _agreed(cx: Context, place: Place, work: Work, merged: Merged) -> str:
    """What both sides will hold once the item has been written."""
    limit, old, crm = place.connector.capabilities.remembers, work.snapshot, work.record(Side.CRM)
    if not limit or old is None:
        return ""
    marks = Mark(work.pair.ecs_id, ""), Mark(crm.id, crm.version)
    return to_text(Snapshot(work.pair.kind, cx.now(), *marks, {**old.columns, **merged.agreed}), limit)


# ── Doing ────────────────────────────────────────────────────────────────────────────────────────────────────


def _bring_in_step(cx: Context, drafts: Sequence[Draft]) -> None:
    # ECS first: what the CRM says reaches the person before the person's edits reach the CRM
    for side in Side:
        carry_out(cx, [d.tasks[side] for d in drafts if side in d.tasks])
    if cx.dry:
        _say_conflicts(cx, drafts)
        for draft in drafts:
            foretell(cx, draft.work, draft.merged)
        return
    confirm(cx, drafts)


def _say_conflicts(cx: Context, drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        for clash in draft.merged.clashes:
            if clash.winner is None:
                cx.count("held")
            cx.count("conflicts")
