"""Leads that were converted here, in their turn among the creates.

The upstream cannot repeat a conversion, but it can be asked whether it has made one: the lead says so. So each is
noted before it goes out, and the lead is read before and after it; what the answer was is needed only to say why a
conversion did not come about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crmsync.connectors.contract import Deferred, Done, Outcome, Refused, Stale
from crmsync.daemon.replica.context import Context, naive
from crmsync.daemon.replica.push import Seen, look, update, winner_of
from crmsync.daemon.replica.window import Window
from crmsync.state.replica.local import arrivals, conversions, deciding
from crmsync.state.replica.local.deciding import Side
from crmsync.state.replica.local.difference import Policy, Winner
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, row_from, row_to, stored
from crmsync.state.replica.local.tables import LEAD, ROLES

__all__ = ["convert", "resolve_conversions"]

_MARGIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Leads:
    """Leads as the upstream has them, and what it has made of those that are converted."""

    seen: Seen
    made: Mapping[str, Row]  # by id


def convert(context: Context, entries: Sequence[Row], window: Window) -> None:
    leads = _leads_of(context, entries)
    _send_edits(context, leads, window)
    before = _look(context, leads)
    with context.database.write() as work:
        sent = [e for e in entries if _goes_out(context, work, e, before, window)]
        asked = [conversions.request(c) for e in sent if (c := work.get(work.shared.conversions, e["Id"]))]
    if not asked:
        return
    outcomes = context.upstream.convert(asked)
    after = _look(context, [each.lead for each in asked])
    with context.database.write() as work:
        for entry, outcome in zip(sent, outcomes, strict=True):
            _told(context, work, entry, outcome, after, window)


def resolve_conversions(context: Context, window: Window) -> None:
    """Of those whose answer is not known, and of those whose lead is gone while the upstream always wins."""
    with context.database.read() as work:
        table, waiting = work.shared.createlist, work.shared.conversions
        ours = table.c.Id.in_(waiting.select().with_only_columns(waiting.c.Id))
        doubtful = work.where(table, table.c.sent.is_not(None), ours)
        lost = work.where(table, table.c.state == "gone", ours) if context.policy is Policy.SERVER else []
    if doubtful:
        seen = _look(context, _leads_of(context, doubtful))
        with context.database.write() as work:
            for entry in doubtful:
                _resolved(context, work, entry, seen, window)
    with context.database.write() as work:
        for entry in lost:
            if conversion := work.get(work.shared.conversions, entry["Id"]):
                deciding.choose(work, conversion["lead"], Side.SERVER, naive(window.end))


def _leads_of(context: Context, entries: Sequence[Row]) -> list[str]:
    with context.database.read() as work:
        found = work.many(work.shared.conversions, [entry["Id"] for entry in entries])
    return [conversion["lead"] for conversion in found.values()]


def _look(context: Context, leads: Sequence[str]) -> _Leads:
    seen = look(context, LEAD, leads)
    made: dict[str, Row] = {}
    for name in (name for name in ROLES if name in context.database.tables.groups):
        targets = [row.get(f"Converted{name}Id") for row in seen.rows.values()]
        if ids := [each for each in dict.fromkeys(targets) if each]:
            made |= look(context, name, ids).rows
    return _Leads(seen, made)


def _send_edits(context: Context, leads: Sequence[str], window: Window) -> None:
    """What a person has changed of the lead, the upstream converts."""
    with context.database.read() as work:
        waiting = work.many(work.group(LEAD).tosync, leads)
    ready = [i for i, waits in waiting.items() if waits["state"] == "ready"]
    if not ready:
        return
    update(context, LEAD, ready, window)
    with context.database.write() as work:
        rows = work.bare(LEAD, work.many(work.group(LEAD).main, ready))
        still = work.many(work.group(LEAD).tosync, ready)
        for lead, conversion in work.converting(ready).items():
            arrived = waiting[lead]["changed"].keys() - still.get(lead, {"changed": {}})["changed"].keys()
            if conversion["base"] is not None and lead in rows:
                now = row_to(work.shapes.of(LEAD), {n: rows[lead][n] for n in arrived})
                work.change(work.shared.conversions, conversion["Id"], base={**conversion["base"], **now})


# ── Whether it goes out ──────────────────────────────────────────────────────────────────────────────────────


def _goes_out(context: Context, work: Work, entry: Row, seen: _Leads, window: Window) -> bool:
    conversion = work.get(work.shared.conversions, entry["Id"])
    if conversion is None:
        return False  # abandoned meanwhile
    lead, at = conversion["lead"], naive(window.end)
    row = seen.seen.rows.get(lead)
    if row is None:
        if lead in seen.seen.deleted:
            arrivals.gone(work, LEAD, [lead], context.policy, at)
            _lost(context, work, conversion, at)
        else:
            _stands(work, entry, "rejected", "not_found", "is not visible to the CRM login any more")
        return False
    arrivals.settle(work, LEAD, row, context.policy, at)
    if row.get("IsConverted"):
        _converted_there(context, work, conversion, row, at)
        return False
    if work.get(work.group(LEAD).tosync, lead) is not None:
        return False  # what the lead was given is refused or held: it waits for that
    if not _as_seen(context, work, conversion, row, at):
        return False
    sent = {"lead": lead}
    work.change(work.shared.createlist, entry["Id"], sent=sent, since=naive(window.end))
    return True


def _as_seen(context: Context, work: Work, conversion: Row, row: Row, at: datetime) -> bool:
    """Whether the lead is what the person saw who converted it, or that does not matter."""
    type_ = work.shapes.of(LEAD)
    if conversion["base"] is None:
        conversions.seen_as(work, conversion, row)
        return True
    base = conversions.typed(work, LEAD, row_from(type_, conversion["base"]))
    differing = [f.name for f in stored(type_) if f.updateable and base[f.name] != row[f.name]]
    if not differing:
        return True
    modified = row.get("LastModifiedDate") or row["SystemModstamp"]
    # A later change there holds a conversion up: to give up what somebody has worked out on three records is nothing to
    # do in silence.
    winner = winner_of(context.policy, conversion["at"], modified, later=Winner.HELD)
    before, now = (row_to(type_, {n: each[n] for n in differing}) for each in (base, row))
    _log(work, conversion, before, now, winner, at)
    match winner:
        case Winner.LOCAL:
            conversions.seen_as(work, conversion, row)
        case Winner.SERVER:
            conversions.abandon(work, conversion, at)
        case Winner.HELD:
            reason = "the lead was changed upstream since it was converted here"
            _stands(work, conversion, "held", "changed", reason)
    return winner is Winner.LOCAL


def _converted_there(context: Context, work: Work, conversion: Row, row: Row, at: datetime) -> None:
    server = {f"Converted{name}Id": row.get(f"Converted{name}Id") for name in ROLES}
    winner = Winner.SERVER if context.policy is Policy.SERVER else Winner.HELD
    _log(work, conversion, {}, server, winner, at)
    if winner is Winner.SERVER:
        work.change(work.shared.createlist, conversion["Id"], sent=None, since=None)
        conversions.abandon(work, conversion, at)
    else:
        _stands(work, conversion, "held", "converted", "the lead was converted upstream meanwhile")


def _lost(context: Context, work: Work, conversion: Row, at: datetime) -> None:
    if context.policy is Policy.SERVER:
        deciding.choose(work, conversion["lead"], Side.SERVER, at)


def _log(work: Work, conversion: Row, base: Row, server: Row, winner: Winner, at: datetime) -> None:
    local = {"Status": conversion["status"], "IsConverted": True}
    work.log(LEAD, conversion["lead"], base, local, server, fields=(), winner=winner, at=at)


def _stands(work: Work, entry: Row, state: str, code: str, reason: str) -> None:
    values = {"state": state, "code": code, "reason": reason, "sent": None, "since": None}
    work.change(work.shared.createlist, entry["Id"], **values)


# ── What became of it ────────────────────────────────────────────────────────────────────────────────────────


def _told(context: Context, work: Work, entry: Row, outcome: Outcome, seen: _Leads, window: Window) -> None:
    if isinstance(outcome, Done) or _is_converted(work, entry, seen):
        _resolved(context, work, work.get(work.shared.createlist, entry["Id"]) or entry, seen, window)
        return
    match outcome:
        case Refused(code=code, reason=reason):
            _stands(work, entry, "rejected", code, reason)
            context.count(rejected=1)
        case Stale():
            _stands(work, entry, "rejected", "reference", "refers to what the CRM does not have")
            context.count(rejected=1)
        case Deferred():
            _stands(work, entry, "ready", "", "")  # the lead says that it was not done
            context.count(deferred=1)


def _is_converted(work: Work, entry: Row, seen: _Leads) -> bool:
    conversion = work.get(work.shared.conversions, entry["Id"])
    row = seen.seen.rows.get(conversion["lead"]) if conversion else None
    return bool(row and row.get("IsConverted"))


def _resolved(context: Context, work: Work, entry: Row, seen: _Leads, window: Window) -> None:
    """By the lead as the upstream has it, whatever was heard."""
    conversion, at = work.get(work.shared.conversions, entry["Id"]), naive(window.end)
    if conversion is None:
        return
    row = seen.seen.rows.get(conversion["lead"])
    if row is None or not row.get("IsConverted"):
        _stands(
            work, entry, "ready", "", ""
        )  # it has not arrived; what became of the lead is looked at in its turn
    elif _ours(context, conversion, entry, row, seen):
        conversions.landed(work, conversion, row, seen.made, context.policy, at)
        context.count(converted=1)
    else:
        arrivals.settle(work, LEAD, row, context.policy, at)
        _converted_there(context, work, conversion, row, at)


def _ours(context: Context, conversion: Row, entry: Row, row: Row, seen: _Leads) -> bool:
    """Whether it is this conversion that the upstream has made: with the records that were given, and others that our
    login has made since."""
    since = entry["since"].replace(tzinfo=UTC) - _MARGIN
    for name, role in ROLES.items():
        real = row.get(f"Converted{name}Id")
        if role not in conversion["made"]:
            if conversion[role] is not None and real != conversion[role]:
                return False
        elif made := seen.made.get(str(real)):
            by, when = made.get("CreatedById", context.user), made.get("CreatedDate")
            if by != context.user or (when is not None and when.replace(tzinfo=UTC) < since):
                return False
    return True
