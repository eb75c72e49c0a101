"""Calm after the storm: everything works again, the service runs until nothing is left to do, and then it is asked
whether all is well."""

from collections.abc import Mapping
from typing import Any

from crmsync.connectors.contract import Side
from crmsync.connectors.memory.native import Item
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import DISPUTED, Pair, PairState
from tests.daemon.machine.chronicle import Chronicle
from tests.daemon.machine.ledger import Ledger
from tests.daemon.machine.premises import SHARED, Premises

ENOUGH = 8  # syncs until nothing is left to do
TWO_HOURS = 7200.0  # longer than any back-off
LOOKED_FOR_AGAIN = ("out_of_sight", "contradiction")  # what is not believed when it is seen first


def come_to_rest(house: Premises) -> None:
    house.fate.clear()
    for server in house.servers.values():
        server.faults.clear()
    _run_until_quiet(house)
    if (
        house.only
    ):  # a write that was interrupted is known to have arrived only when its collection is looked at again
        house.only.clear()
        house.restart()
        _run_until_quiet(house)
    if _decide_conflicts(house):
        _run_until_quiet(house)


def all_is_well(house: Premises, ledger: Ledger, chronicle: Chronicle) -> None:
    """To be asked at rest."""
    complaints = {
        "deleted without a reason": ledger.wrongs,
        "lost": ledger.unaccounted(),
        "written where nothing is exchanged": ledger.strays(),
        "twice": ledger.surplus() + twins(house),
        "not in step": disagreements(house, ledger),
        "left out": left_out(house),
        "history is not what was written": chronicle.complaints(ledger.typed),
    }
    assert not any(complaints.values()), {what: some for what, some in complaints.items() if some}
    idle(house)


def idle(house: Premises) -> None:
    """A further sync writes nothing, and asks no more than it has to."""
    before = {name: house.items(name) for name in house.servers}
    house.clock.tick()
    report = house.engine.sync()
    assert (report["writes"], report["errors"]) == (0, []), report
    assert {name: house.items(name) for name in house.servers} == before, "something was written"
    asked = sum(cycle["requests"] for cycle in report["cycles"])
    assert asked <= house.idle_requests(), f"{asked} requests without a cause, of {house.idle_requests()}"


def disagreements(house: Premises, ledger: Ledger) -> list[str]:
    """Linked pairs in which an exchanged column differs, as the sides show it."""
    found = []
    for account in house.seen:
        for pair in linked(house, account):
            ecs, crm = _both(house, pair)
            if ecs is None or crm is None:
                found.append(f"{account}: of {pair.ecs_id} and {pair.crm_id}, one is not there")
                continue
            found += [
                f"{account}: {pair.ecs_id} has {column} {ecs.columns[column]!r}, {pair.crm_id} {crm.columns[column]!r}"
                for column in ecs.columns
                if ledger.agreed(column) and not _agree(house, column, ecs, crm)
            ]
    return found


def twins(house: Premises) -> list[str]:
    """Items that have two records, because two accounts see them: an item is one, whoever sees it."""
    records: dict[tuple[str, str], set[str]] = {}
    for account in house.seen:
        for pair in linked(house, account):
            records.setdefault((house.home_of(pair), pair.ecs_id), set()).add(pair.crm_id)
    return [f"{item} is linked to {sorted(ids)}" for item, ids in records.items() if len(ids) > 1]


def left_out(house: Premises) -> list[str]:
    """What a person selected, and is neither linked nor waiting for a person nor given up with a reason, in any of the
    accounts that see it."""
    held = house.engine.matches()
    known = {(p.account, id) for p in pairs(house) for id in (p.ecs_id, p.crm_id)}
    away = {
        (p.account, p.ecs_id) for p in pairs(house) if p.reason.endswith("its collection is no longer there")
    }
    known |= {(h["account"], h[which]) for h in held for which in ("item", "record")}
    known |= {
        (row["account"], row["item"])
        for row in house.engine.queue()
        if row["code"] == DISPUTED or _stands_out_of_sight(house, row)
    }
    found = []
    for name in house.boxes:
        seeing = [a for a, servers in house.seen.items() if name in servers]
        if name == SHARED and house.owner:
            seeing = [house.owner]  # what her account does not want, nobody's does
        for item in house.items(name):
            wanted = [a for a in seeing if _selects(house, a, item)]
            if wanted and not any((a, item.id) in known - away for a in seeing):
                found.append(f"{wanted}: {item.id} is left out")
    owned = [
        (house.owners[i.owner], i.id) for i in house.items("crm") if i.owner in house.owners and not i.hidden
    ]
    return found + [
        f"{account}: {item} is left out"
        for account, item in owned
        if house.settings[account].get("crm_select", "owned") == "owned" and (account, item) not in known
    ]


def _selects(house: Premises, account: str, item: Item) -> bool:
    settings = house.settings[account]
    tagged = settings["tag"] in item.tags or settings.get("select_all", False)
    return tagged and not item.hidden


def linked(house: Premises, account: str) -> list[Pair]:
    return [p for p in pairs(house) if p.account == account and p.state is PairState.LINKED]


def pairs(house: Premises) -> list[Pair]:
    with house.state.reading() as tx:
        return [p for account in house.seen for p in tx.pairs.listing(account)]


def _run_until_quiet(house: Premises) -> None:
    waited: list[tuple[str, ...]] | None = None
    for _ in range(ENOUGH):
        house.clock.tick(TWO_HOURS)
        house.engine.retry()
        report = house.settle()
        waits = sorted((r["account"], r["collection"], r["item"], r["code"]) for r in house.engine.queue())
        looking_again = waits != waited or any(code in LOOKED_FOR_AGAIN for *_, code in waits)
        errors = [e for e in report["errors"] if not _stands_out_of_sight(house, e)]
        if not report["writes"] and not errors and not looking_again:
            return
        waited = waits
    raise AssertionError(f"it does not come to rest: {report}")


def _stands_out_of_sight(house: Premises, trouble: Mapping[str, Any]) -> bool:
    """What was just made is hidden: its name is taken, and nobody may look by what. It stays parked, and says so."""
    return trouble["code"] == "name_taken" and any(i.hidden for s in house.boxes for i in house.items(s))


def _decide_conflicts(house: Premises) -> int:
    """Whatever waits for a person is decided, now for the one side and now for the other; how many that were."""
    waiting = [c for c in house.engine.conflicts() if c["winner"] is None and not c["resolved"]]
    linked_ones = [c for c in waiting if _is_linked(house, c)]
    for number, conflict in enumerate(linked_ones):
        side = (Side.ECS, Side.CRM)[number % 2]
        house.engine.resolve(conflict["item"], conflict["column"], keep=side.value)
    return len(linked_ones)


def _is_linked(house: Premises, conflict: Mapping[str, Any]) -> bool:
    """In the person's own account, or in that of their calls, which is not named to anybody."""
    person = conflict["account"]
    theirs = [a for a in house.seen if a == person or a.startswith(f"{person}.")]
    return any(p.ecs_id == conflict["item"] for account in theirs for p in linked(house, account))


def _both(house: Premises, pair: Pair) -> tuple[Item | None, Item | None]:
    ecs = {i.id: i for i in house.items(house.home_of(pair))}
    crm = {i.id: i for i in house.items("crm")}
    return ecs.get(pair.ecs_id), crm.get(pair.crm_id)


def _agree(house: Premises, column: str, ecs: Item, crm: Item) -> bool:
    here, there = ecs.columns[column], crm.columns[column]
    on_crm = house.crm.traits.keep(house.kind, {column: here}).get(column)
    on_ecs = house.boxes[next(iter(house.boxes))].traits.keep(house.kind, {column: there}).get(column)
    return same(here, there) or same(on_crm, there) or same(on_ecs, here)
