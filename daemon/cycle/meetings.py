"""Meetings: who is asked to them as far as the CRM knows, and whose word counts where several people have a copy.

A meeting is its organiser's. Whoever was asked to it has a copy, which the organiser's server keeps up to date. What
the CRM says of the meeting is never written into a copy. Where the record stands for the organiser's own item (or, if
that one has no account, for the copy of the record's owner), nothing goes from another copy into the CRM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crmsync.connectors.abilities import Addressed
from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.members import people
from crmsync.daemon.plan.terms import Direction, Policy, Rule, Standing
from crmsync.state.model import Pair, PairState
from crmsync.state.transaction import Tx

# What an organiser says of a meeting; the rest is everyone's own.
OF_THE_MEETING = frozenset(
    {"subject", "location", "description", "start", "end", "all_day", "time_zone", "status", "attendees"}
)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a pair is, where its item is a copy of somebody else's meeting."""

    organiser: str
    mute: bool = False  # another item speaks for the record


def with_addresses(cx: Context, works: Sequence[Work]) -> list[Work]:
    """Those of the works for which it is known whose meeting they are; a conversation that failed leaves its rows for
    later."""
    unknown: set[str] = set()
    for key in {w.pair.ecs_collection for w in works if _is_called(w)}:
        place = cx.places[key]
        try:
            if isinstance(place.connector, Addressed):
                place.connector.addresses()
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            unknown.add(key)
    return [w for w in works if not (w.pair.ecs_collection in unknown and _is_called(w))]


def _is_called(work: Work) -> bool:
    return isinstance(work.ecs, Record) and bool(work.ecs.columns.get("organizer"))


def copies(cx: Context, works: Sequence[Work]) -> Mapping[int, Copy]:
    """By pair, those that are copies."""
    called = {w.pair.id: told for w in works if (told := _called_by(cx, w))}
    if not any(called.values()):
        return {}
    ids: dict[str, list[str]] = {}
    for work in (w for w in works if w.pair.id in called):
        ids.setdefault(work.pair.crm_collection, []).append(work.pair.crm_id)
    with cx.state.reading() as tx:
        linked = {key: tx.pairs.accounts_of(cx.crm, key, some) for key, some in ids.items()}
    found: dict[int, Copy] = {}
    for work in (w for w in works if w.pair.id in called):
        pair, organiser = work.pair, called[work.pair.id]
        others = [
            p.account
            for p in linked[pair.crm_collection].get(pair.crm_id, ())
            if p.account != pair.account and p.state is PairState.LINKED and is_copy_of(pair, p)
        ]
        found[pair.id] = Copy(organiser, bool(others) and _other_speaks(cx, work, organiser, others))
    return found


def is_copy_of(pair: Pair, other: Pair) -> bool:
    """Whether two links to one record are of one meeting in two calendars."""
    elsewhere = (other.ecs_collection, other.ecs_id) != (pair.ecs_collection, pair.ecs_id)
    return elsewhere and other.ecs_uid == pair.ecs_uid != "" and pair.kind is Kind.APPOINTMENT


def _called_by(cx: Context, work: Work) -> str:
    """The organiser, where that is somebody else."""
    if not isinstance(work.ecs, Record) or not _is_called(work):
        return ""
    place = cx.places.get(work.pair.ecs_collection)
    return called_by(cx, place, work.ecs.columns) if place is not None else ""


def called_by(cx: Context, place: Place, columns: Columns) -> str:
    """The organiser of a meeting, where that is somebody else. Where nobody knows our own addresses, every meeting may
    be ours."""
    organiser = columns.get("organizer")
    if not isinstance(organiser, str) or cx.account.is_person(organiser):
        return ""
    connector = place.connector
    told = connector.addresses() if isinstance(connector, Addressed) else frozenset()
    return "" if organiser in told or not any("@" in address for address in told) else organiser


def _other_speaks(cx: Context, work: Work, organiser: str, others: Sequence[str]) -> bool:
    accounts = [a for a in cx.bound if a.name in others]
    if any(a.is_person(organiser) for a in accounts):
        return True
    return work.record(Side.CRM).owner != cx.user if isinstance(work.crm, Record) else True


def rules_for(copy: Copy | None, rules: Mapping[str, Rule]) -> Mapping[str, Rule]:
    """In a copy the organiser's word, which came through the calendar, is never overruled."""
    if copy is None:
        return rules
    if copy.mute:
        return {n: replace(r, direction=Direction.NONE) for n, r in rules.items()}
    return {n: replace(r, conflict=Policy.ECS) if n in OF_THE_MEETING else r for n, r in rules.items()}


def barred(copy: Copy | None, standing: Standing) -> Standing:
    """The ECS side of a copy: what is the organiser's to say may not be written there."""
    if copy is None:
        return standing
    closed = standing.writable & OF_THE_MEETING
    return replace(standing, writable=standing.writable - closed, barred=standing.barred | closed)


def has_copies(record: Record) -> bool:
    """Whether the same meeting, of the same UID, stands in the calendars of other people as well."""
    return bool(record.columns.get("organizer")) and bool(record.columns.get("attendees"))


# ── Who is asked ─────────────────────────────────────────────────────────────────────────────────────────────


def lists(kind: Kind) -> frozenset[str]:
    """Columns whose members are merged each by itself."""
    return frozenset(n for n, c in COLUMNS[kind].items() if c.each)


def come(cx: Context, works: Sequence[Work]) -> Mapping[int, Mapping[str, frozenset[str]]]:
    """By pair and column, members whom the CRM has come to know."""
    with cx.state.reading() as tx:
        arrived = tx.awaited.come([w.pair.id for w in works])
    found: dict[int, Mapping[str, frozenset[str]]] = {}
    for work in (w for w in works if w.pair.id in arrived and isinstance(w.ecs, Record)):
        columns, names = work.record(Side.ECS).columns, arrived[work.pair.id]
        found[work.pair.id] = {
            n: frozenset(m for m in people(columns.get(n)) if hashed(cx, m) in names)
            for n in lists(work.pair.kind)
        }
    return found


def hashed(cx: Context, name: str) -> str:
    return cx.signer.hashed("member", name)


def missing(cx: Context, place: Place, kind: Kind, sent: Columns, shown: Columns) -> frozenset[str]:
    """Hashes of the members that were offered to a CRM which does not know them. The person of the account is nobody
    to be waited for."""
    partial = place.connector.capabilities.partial.get(kind, frozenset()) & {"attendees"}
    names = {m for n in partial for m in people(sent.get(n)).keys() - people(shown.get(n)).keys()}
    return frozenset(hashed(cx, m) for m in names if not cx.account.is_person(m))


def arrive(cx: Context, tx: Tx, place: Place, addresses: frozenset[str]) -> list[int]:
    """Pairs that wait for somebody with one of these addresses."""
    return tx.awaited.arrive([hashed(cx, a) for a in addresses], cx.crm, place.key)
