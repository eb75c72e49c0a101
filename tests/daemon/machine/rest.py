"""Calm after the storm: everything works again, the service runs until nothing is left to do, and then it is asked
whether all is well."""

from collections.abc import Mapping
from typing import Any

from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.memory.native import Item
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Pair, PairState
from tests.daemon.machine.house import House
from tests.daemon.machine.ledger import Ledger

ENOUGH = 8  # syncs until nothing is left to do
TWO_HOURS = 7200.0  # longer than any back-off


def come_to_rest(house: House) -> None:
    house.fate.clear()
    for server in house.servers.values():
        server.faults.clear()
    _run_until_quiet(house)
    if _decide_conflicts(house):
        _run_until_quiet(house)


def all_is_well(house: House, ledger: Ledger) -> None:
    """To be asked at rest."""
    complaints = {
        "deleted without a reason": ledger.wrongs,
        "lost": ledger.unaccounted(),
        "written where nothing is exchanged": ledger.strays(),
        "twice": ledger.surplus(),
        "not in step": disagreements(house, ledger),
        "left out": left_out(house),
    }
    assert not any(complaints.values()), {what: some for what, some in complaints.items() if some}
    idle(house)


def idle(house: House) -> None:
    """A further sync writes nothing."""
    before = {name: house.items(name) for name in house.servers}
    house.clock.tick()
    report = house.engine.sync()
    assert (report["writes"], report["errors"]) == (0, []), report
    assert {name: house.items(name) for name in house.servers} == before, "something was written"


def disagreements(house: House, ledger: Ledger) -> list[str]:
    """Linked pairs in which an exchanged column differs, as the sides show it."""
    found = []
    for account in house.boxes:
        for pair in linked(house, account):
            ecs, crm = _both(house, pair)
            if ecs is None or crm is None:
                found.append(f"{account}: of {pair.ecs_id} and {pair.crm_id}, one is not there")
                continue
            found += [
                f"{account}: {pair.ecs_id} has {column} {ecs.columns[column]!r}, {pair.crm_id} {crm.columns[column]!r}"
                for column in ecs.columns
                if ledger.shared(column) and not _agree(house, column, ecs, crm)
            ]
    return found


def left_out(house: House) -> list[str]:
    """What a person selected, and is neither linked nor waiting for a person nor given up with a reason."""
    held = {(h["account"], h["item"]) for h in house.engine.matches()}
    held |= {(h["account"], h["record"]) for h in house.engine.matches()}
    known = {(p.account, id) for p in pairs(house) for id in (p.ecs_id, p.crm_id)} | held
    tagged = [
        (name, i.id) for name in house.boxes for i in house.items(name) if "CRM" in i.tags and not i.hidden
    ]
    owners = {house.alice: "alice", house.bob: "bob"}
    owned = [(owners[i.owner], i.id) for i in house.items("crm") if i.owner in owners and not i.hidden]
    return [
        f"{account}: {item} is left out" for account, item in tagged + owned if (account, item) not in known
    ]


def linked(house: House, account: str) -> list[Pair]:
    return [p for p in pairs(house) if p.account == account and p.state is PairState.LINKED]


def pairs(house: House) -> list[Pair]:
    with house.state.reading() as tx:
        return [p for account in house.boxes for p in tx.pairs.listing(account)]


def _run_until_quiet(house: House) -> None:
    for _ in range(ENOUGH):
        house.clock.tick(TWO_HOURS)
        house.engine.retry()
        report = (
            house.engine.reconcile()
        )  # and not only a sync: a server without tombstones tells of no delete
        if not report["writes"] and not report["errors"]:
            return
    raise AssertionError(f"it does not come to rest: {report}")


def _decide_conflicts(house: House) -> int:
    """Whatever waits for a person is decided, now for the one side and now for the other; how many that were."""
    waiting = [c for c in house.engine.conflicts() if c["winner"] is None and not c["resolved"]]
    linked_ones = [c for c in waiting if _is_linked(house, c)]
    for number, conflict in enumerate(linked_ones):
        side = (Side.ECS, Side.CRM)[number % 2]
        house.engine.resolve(conflict["item"], conflict["column"], keep=side.value)
    return len(linked_ones)


def _is_linked(house: House, conflict: Mapping[str, Any]) -> bool:
    return any(p.ecs_id == conflict["item"] for p in linked(house, conflict["account"]))


def _both(house: House, pair: Pair) -> tuple[Item | None, Item | None]:
    ecs = {i.id: i for i in house.items(pair.account)}
    crm = {i.id: i for i in house.items("crm")}
    return ecs.get(pair.ecs_id), crm.get(pair.crm_id)


def _agree(house: House, column: str, ecs: Item, crm: Item) -> bool:
    here, there = ecs.columns[column], crm.columns[column]
    on_crm = house.crm.traits.keep(Kind.CONTACT, {column: here}).get(column)
    on_ecs = house.ecs.traits.keep(Kind.CONTACT, {column: there}).get(column)
    return same(here, there) or same(on_crm, there) or same(on_ecs, here)
