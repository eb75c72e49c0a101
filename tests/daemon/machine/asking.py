"""What `explain` says of an item, against the state's own lines and what stands on the servers.

The state is read by other ways than those of the answer: all pairs, all rows, all lines of history.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crmsync.connectors.contract import Side
from crmsync.connectors.memory.native import Item
from crmsync.state.model import Change, Entry, Pair, PairState, QueueState
from crmsync.state.values import encode, encode_columns
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.rest import pairs

Told = Mapping[str, Any]


def misinformed(house: Premises, server: str, item: str, told: Told, quiet: bool) -> list[str]:
    """Of an item that stands on this server. ``quiet``: nothing was to go wrong while it was asked for."""
    mine = _pairs(house, item)
    told_as = {what: told[what] for what in ("item", "record", "account", "collection", "linked", "reason")}
    told_as |= {"snapshot": told["snapshot"], "synced": told["synced"]}
    told_as |= {f"{side} version": told["versions"][side] for side in ("ecs", "crm")}
    known = [_of_pair(house, p) for p in mine] or [_of_none(house, server, item, told, quiet)]
    found = [f"{told_as}, but it is {known}"] if told_as not in known else []
    if told["tagged"] not in (tags := set(_tagged(house, server, item, told, mine, quiet))):
        found.append(f"tagged is {told['tagged']}, not {tags}")
    unread = not mine and _last(house, item) is None and None in tags  # it has only a row yet
    if told["kind"] not in {house.kind.value, None if unread else house.kind.value}:
        found.append(f"its kind is {told['kind']}")
    waiting = [row for row in told["queue"] if row["state"] != QueueState.ABANDONED]
    if Counter(map(repr, waiting)) != Counter(repr(_of_row(r)) for r in _rows(house, item, mine)):
        found.append(f"there wait {_rows(house, item, mine)}")
    lines = [line for line in told["decisions"] if "what" not in line]
    if _told(lines) != _told_of(of_item := _history(house, item, mine, all_of_it=False)):
        found.append(f"decided was {of_item}")
    return found


def misremembered(house: Premises, item: str, lines: list[Told]) -> list[str]:
    """The history of an item, line by line."""
    written = _history(house, item, _pairs(house, item), all_of_it=True)
    return [f"written was {written}"] if _told(lines) != _told_of(written) else []


def witnesses(house: Premises, server: str, item: str, quiet: bool) -> list[str]:
    """Who knows of the item, so that nobody may say that there is none."""
    mine = _pairs(house, item)
    with house.state.reading() as tx:
        held = [h for h in tx.held.listing() if item in (h.item, h.record)]
    known = [*mine, *_rows(house, item, mine), *held, *_history(house, item, mine, all_of_it=True)]
    stands = quiet and any(_seen(house, server, i) for i in house.items(server) if i.id == item)
    return [*map(repr, known), *([f"it stands on {server}"] if stands else [])]


# ── As the state has it ──────────────────────────────────────────────────────────────────────────────────────


def _pairs(house: Premises, item: str) -> list[Pair]:
    return [p for p in pairs(house) if item in (p.ecs_id, p.crm_id)]


def _of_pair(house: Premises, pair: Pair) -> Told:
    with house.state.reading() as tx:
        snapshot = tx.snapshots.get(pair.id)
    return {
        "item": pair.ecs_id,
        "record": pair.crm_id,
        "account": house.person_of(pair.account),
        "collection": pair.ecs_collection,
        "linked": pair.state is PairState.LINKED,
        "reason": pair.reason,
        "snapshot": encode_columns(snapshot.columns) if snapshot else None,
        "synced": _moment(snapshot.synced) if snapshot else None,
        "ecs version": pair.ecs_version,
        "crm version": pair.crm_version,
    }


def _of_none(house: Premises, server: str, item: str, told: Told, quiet: bool) -> Told:
    """Its partner is the last that it had."""
    last = _last(house, item)
    ecs, crm = (last.ecs_id, last.crm_id) if last else ("", "")
    nothing = ("collection", "reason", "snapshot", "synced", "ecs version", "crm version")
    return {
        "item": (ecs or item) if server == "crm" else item,
        "record": (crm or None) if server != "crm" else item,
        "account": told["account"]
        if told["account"] in _persons(house, server, item, quiet)
        else "of none of these",
        "linked": False,
        **dict.fromkeys(nothing),
    }


def _persons(house: Premises, server: str, item: str, quiet: bool) -> set[str]:
    """Who may tell of an item without a link: the last that had to do with it, or who sees it where that one does not,
    or may not have been answered."""
    last = _last(house, item)
    knew = [last.account] if last else [r.account for r in _rows(house, item, [])] or [*house.seen]
    there = [i for i in house.items(server) if i.id == item]
    seeing = (
        [a for a in house.seen if any(_sees(house, a, server, i) for i in there)] if server != "crm" else []
    )
    return {
        house.person_of(a) for a in [*knew, *(a for a in seeing if not quiet or not set(knew) & set(seeing))]
    }


def _last(house: Premises, item: str) -> Entry | None:
    return next(reversed(_history(house, item, [], all_of_it=False)), None)


def _rows(house: Premises, item: str, mine: list[Pair]) -> list[Change]:
    places = {(p.account, Side.ECS, p.ecs_collection, p.ecs_id) for p in mine}
    places |= {(p.account, Side.CRM, p.crm_collection, p.crm_id) for p in mine}
    with house.state.reading() as tx:
        rows = tx.queue.listing()
    return [r for r in rows if r.item == item or (r.account, r.side, r.collection, r.item) in places]


def _of_row(row: Change) -> Told:
    values = {"side": row.side.value, "state": row.state.value, "attempts": row.attempts}
    return {**values, "code": row.code, "error": row.error}


def _history(house: Premises, item: str, mine: list[Pair], *, all_of_it: bool) -> list[Entry]:
    """Of its pairs; of the id, where there is none, and where all of it is asked for."""
    ids = {p.id for p in mine}
    with house.state.reading() as tx:
        lines = tx.history._read(tx.history._rows.select())
    by_id = all_of_it or not mine
    found = [e for e in lines if e.pair_id in ids or (by_id and item in (e.ecs_id, e.crm_id))]
    return sorted(found, key=lambda e: e.id)


def _told_of(entries: list[Entry]) -> list[tuple[Any, ...]]:
    where = [(e.cycle, e.ecs_id, e.crm_id, e.side.value, str(e.action)) for e in entries]
    what = [(e.column, encode(e.old), encode(e.new), e.reason) for e in entries]
    return [(*one, *other) for one, other in zip(where, what, strict=True)]


def _told(lines: list[Told]) -> list[tuple[Any, ...]]:
    names = ("cycle", "item", "record", "side", "action", "column", "old", "new", "reason")
    return [tuple(line[n] for n in names) for line in lines]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


# ── As it stands ─────────────────────────────────────────────────────────────────────────────────────────────


def _tagged(
    house: Premises, server: str, item: str, told: Told, mine: list[Pair], quiet: bool
) -> Iterator[bool | None]:
    """What may be said of the tag: nothing of a record, and of what nobody is shown."""
    pair = next((p for p in mine if (p.ecs_id, p.ecs_collection) == (told["item"], told["collection"])), None)
    home = house.home_of(pair) if pair else server
    there = [i for i in house.items(home) if i.id == (pair.ecs_id if pair else item) and home != "crm"]
    if pair:
        there = [i for i in there if i.collection == pair.ecs_collection.partition(":")[2]]
    hers = [a for a in house.seen if house.person_of(a) == told["account"]]
    accounts = [pair.account] if pair else hers
    looking = [(a, i) for i in there for a in accounts if _sees(house, a, home, i)]
    if not looking or not quiet:
        yield None
    for account, one in looking:
        settings = house.settings[account]
        yield settings["tag"] in one.tags or settings.get("select_all", False)


def _seen(house: Premises, server: str, item: Item) -> bool:
    if server == "crm":
        return item.owner in house.owners and not item.hidden
    return any(_sees(house, account, server, item) for account in house.seen)


def _sees(house: Premises, account: str, server: str, item: Item) -> bool:
    out = server not in house.seen[account] or house.left_out(account, server, item.collection)
    return not (out or item.hidden)
