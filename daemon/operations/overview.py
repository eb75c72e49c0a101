"""How the accounts stand: traffic lights, the sync table, the conflict log, what is held."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from crmsync.daemon.account import Account
from crmsync.daemon.cycle import doubt
from crmsync.daemon.operations.finding import Only, within
from crmsync.state.database import State
from crmsync.state.model import AWAY, DISPUTED, PROVISIONAL, WAITS_FOR_OWNER, Cycle, What
from crmsync.state.overall import Overall
from crmsync.state.values import encode

_OFFLINE = frozenset({"unreachable", "throttled"})
_SUCCESS = "success/"


def status(
    state: State,
    accounts: Sequence[Account],
    now: datetime,
    busy: frozenset[str],
    stale_after: timedelta,
    successes: Mapping[str, datetime],
) -> dict[str, Any]:
    with state.reading() as tx:
        found = tx.overall.of([a.name for a in accounts], WAITS_FOR_OWNER, AWAY, PROVISIONAL, DISPUTED)
        noted = {key.removeprefix(_SUCCESS): at for key, at in tx.meta.listing(_SUCCESS).items()}
        doubts = doubt.all_current(tx)
    told = []
    for account in accounts:
        name, overall = account.name, found[account.name]
        known = (overall.last_success, _moment(noted.get(name)), successes.get(name))
        success = max((t for t in known if t is not None), default=None)
        told.append(_account(account, overall, doubts.get(name), success, now, name in busy, stale_after))
    return {"accounts": told}


def _account(
    account: Account,
    overall: Overall,
    doubted: doubt.Doubt | None,
    success: datetime | None,
    now: datetime,
    busy: bool,
    stale_after: timedelta,
) -> dict[str, Any]:
    counts, conflicts, last = overall.counts, overall.conflicts, overall.last
    failed = last is not None and bool(last.errors) and (success is None or success < last.started)
    if busy:
        light = "syncing"
    elif failed and last is not None and _only_offline(last):
        light = "offline"
    elif failed or counts.parked:
        light = "failing"
    elif counts.held or conflicts:
        light = "decision"
    elif success is None or now - success > stale_after:
        light = "stale"
    else:
        light = "waiting" if counts.pending else "in_step"
    return {
        "name": account.name,
        "light": light,
        "last_success": _text(success),
        "pending": counts.pending,
        "parked": counts.parked,
        "held": counts.held,
        "conflicts": conflicts,
        "deletions": overall.deletions,
        "logins": [
            {"name": where, "expires": login.expires.isoformat() if login.expires else None}
            for where, login in account.logins().items()
        ],
        "errors": list(last.errors) if failed and last is not None else [],
        "notices": _notices(account, overall, doubted, now),
    }


def _notices(account: Account, overall: Overall, doubted: doubt.Doubt | None, now: datetime) -> list[str]:
    """What the operator should know although nothing fails."""
    notices = [*account.warnings, *(f"{n} of what is tagged: {why}" for why, n in overall.waits.items())]
    undecided = bool(overall.counts.held or overall.conflicts)
    if doubted is not None and (not doubted.over or undecided or now - doubted.since < doubt.TOLD_FOR):
        notices.append(doubted.sentence)
    return notices


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _only_offline(cycle: Cycle) -> bool:
    return all(e.get("code") in _OFFLINE for e in cycle.errors)


def queue(
    state: State, accounts: Sequence[Account], *, troubled: bool = False, limit: int = 100_000
) -> list[dict[str, Any]]:
    """``troubled``: only what does not get through; ``limit``: of rows for each account."""
    with state.reading() as tx:
        return [
            {
                "item": c.item,
                "account": c.account,
                "side": c.side.value,
                "collection": c.collection,
                "state": c.state.value,
                "attempts": c.attempts,
                "code": c.code,
                "error": c.error,
                "next": _text(c.next_at),
            }
            for a in accounts
            for c in tx.queue.listing(a.name, limit, troubled=troubled)
        ]


def rejected(state: State, only: Only = None, limit: int | None = None) -> list[dict[str, Any]]:
    """What a server has refused for good, or was given up on: the parked rows."""
    with state.reading() as tx:
        return [
            {
                "item": c.item,
                "account": c.account,
                "side": c.side.value,
                "collection": c.collection,
                "code": c.code,
                "error": c.error,
                "since": _text(c.detected_at),
            }
            for c in tx.queue.parked(only, limit)
        ]


def pulse(state: State, names: Sequence[str] | None, since: datetime) -> list[dict[str, Any]]:
    with state.reading() as tx:
        return [{"begins": _text(h.begins), **asdict(h.beat)} for h in tx.pulse.since(since, names)]


def visits(state: State, limit: int) -> list[dict[str, Any]]:
    with state.reading() as tx:
        return [
            {"at": _text(h.at), "who": h.who, "what": h.what, "detail": h.detail}
            for h in tx.visits.newest(limit)
        ]


def conflicts(
    state: State, only: Only = None, *, undecided: bool = False, limit: int | None = None
) -> list[dict[str, Any]]:
    """By the ids that the item has now: what was moved or created again since must be found by them. ``limit``: of
    those that are undecided."""
    with state.reading() as tx:
        if undecided:
            log = tx.conflicts.waiting_for_a_person(only, limit)
        else:
            log = [c for c in tx.conflicts.listing() if within(only, c.account)]
        pairs = tx.pairs.get_many({c.pair_id for c in log})
        return [
            {
                "item": pairs[c.pair_id].ecs_id if c.pair_id in pairs else c.item,
                "record": pairs[c.pair_id].crm_id if c.pair_id in pairs else c.record,
                "collection": pairs[c.pair_id].ecs_collection if c.pair_id in pairs else "",
                "account": c.account,
                "column": c.column,
                "base": encode(c.base),
                "ecs": encode(c.ecs),
                "crm": encode(c.crm),
                "winner": c.winner,
                "resolved": c.resolved,
                "cycle": c.cycle,
                "reason": c.reason,
                "at": _text(c.at),
            }
            for c in log
        ]


def held(
    state: State, what: What, only: Only = None, limit: int | None = None, about: str = ""
) -> list[dict[str, Any]]:
    """``about``: only what may be meant by this name, which is an id, or one with its collection before it."""
    parts = about.split("/")
    ids = ["/".join(parts[start:]) for start in range(len(parts))] if about else []
    with state.reading() as tx:
        return [
            {
                "item": h.item or h.record,  # of whichever side it is that waits
                "collection": h.collection,
                "record": h.record,
                "account": h.account,
                "kind": h.kind.value,
                "side": h.side.value,
                "reason": h.reason,
                "candidates": h.candidates,
                "cycle": h.cycle,
                "at": _text(h.at),
            }
            for h in tx.held.waiting_for_a_person(what, only, limit, ids)
        ]


def undecided(state: State, only: Only = None) -> dict[str, Any]:
    with state.reading() as tx:
        deletions, mark = tx.held.mark(What.DELETE, only)
        return {
            "conflicts": tx.conflicts.count(only),
            "deletions": deletions,
            "matches": tx.held.mark(What.MATCH, only)[0],
            "rejected": tx.queue.count_parked(only),
            "decided": tx.held.count_decided(only) + tx.conflicts.count_decided(only),
            "mark": mark,
        }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
