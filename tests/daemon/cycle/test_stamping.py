"""Stamps of one batch on their way while the next one is looked at: what they must not change."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, get_ident

import pytest

from crmsync.connectors.contract import Write
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.connector import MemoryConnector
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.daemon.cycle.context import one_helper
from crmsync.state.errors import StateError
from crmsync.state.model import Pair
from tests.daemon.machine.house import House
from tests.daemon.machine.real_house import RealHouse, real_hosts
from tests.daemon.machine.trouble import Killed, Point


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Two items a batch; a helper who begins only when somebody waits for him."""
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


def seven(house: House) -> list[str]:
    return [house.person(f"Number{n}", "Lovelace", email=f"n{n}@example.com") for n in range(7)]


def in_step(house: House) -> None:
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 7
    stamps = {c.stamp.record for c in house.ecs.all() if c.stamp is not None}
    assert stamps == {r.id for r in house.crm.all(house.people)}
    house.idle()


def writes(house: House) -> list[str]:
    """The servers that were written to, in that order."""
    return [p.where for p in house.fate.passed if p.what in ("create", "update") and p.after]


def test_the_next_batch_is_made_before_the_stamps_of_the_last_one(house: House) -> None:
    seven(house)
    house.sync()
    assert writes(house) == [
        *["crm"] * 4,
        *["alice"] * 2,
        *["crm"] * 2,
        *["alice"] * 2,
        "crm",
        *["alice"] * 3,
    ]
    in_step(house)


def test_a_connector_that_does_not_bear_it_is_left_alone_meanwhile(house: House) -> None:
    house.ecs.traits = replace(house.ecs.traits, concurrent=False)
    house.restart()
    seven(house)
    house.sync()
    assert writes(house) == ["crm", "crm", "alice", "alice"] * 3 + ["crm", "alice"]
    in_step(house)


def test_who_dies_with_stamps_under_way_stamps_later(house: House) -> None:
    seven(house)
    house.fate.kill(at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True), skip=3)
    with pytest.raises(Killed):
        house.sync()
    assert len(house.contacts()) == 4
    assert not [c for c in house.ecs.all() if c.stamp]
    house.restart()
    in_step(house)


def test_a_state_that_fails_meanwhile_ends_the_cycle_and_loses_nothing(house: House) -> None:
    seven(house)

    def fails(point: Point) -> None:
        raise StateError("the disk is full")

    house.fate.plan(fails, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True), skip=3)
    assert [e["message"] for e in house.engine.sync()["errors"]] == ["the disk is full"]
    house.fate.clear()
    in_step(house)


def test_stamps_that_cannot_be_written_are_told_once_and_written_later(house: House) -> None:
    seven(house)
    house.ecs.faults.fail("apply", Unreachable("no answer"), times=ALWAYS)
    report = house.engine.sync()
    assert [e["message"] for e in report["errors"]] == ["“Contacts”: no answer"]
    assert len(house.contacts()) == 7
    house.ecs.faults.clear()
    house.clock.tick(3600)
    in_step(house)


def test_a_link_that_was_changed_meanwhile_is_not_overwritten(house: House) -> None:
    cards = seven(house)
    seen: list[Pair] = []

    def changed(point: Point) -> None:
        with house.state.transaction() as tx:
            (pair,) = tx.pairs.find(cards[0])
            seen.append(replace(pair, ecs_version="another", crm_version=""))
            tx.pairs.save(seen[0])

    house.fate.plan(changed, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", False), skip=2)
    told: list[Pair] = []

    def looks(point: Point) -> None:
        with house.state.reading() as tx:
            told.extend(tx.pairs.find(cards[0]))

    house.fate.plan(looks, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", False), skip=6)
    house.sync()
    assert (seen, told) == (seen[:1], seen)
    in_step(house)


def test_whoever_ends_the_cycle_early_waits_for_what_is_under_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real thread: nothing may write for an account whose lock is free again."""
    house.engine.helper = lambda: ThreadPoolExecutor(1)
    apply, cycle = MemoryConnector.apply, get_ident()
    failed, returned, over = Event(), Event(), Event()

    def slow(self: MemoryConnector, writes: list[Write]) -> object:
        if get_ident() == cycle:
            return apply(self, writes)
        assert failed.wait(60)
        returned.wait(1)
        answers = list(apply(self, writes))
        over.set()
        return answers

    def fails(point: Point) -> None:
        failed.set()
        raise StateError("the disk is full")

    monkeypatch.setattr(MemoryConnector, "apply", slow)
    seven(house)
    house.fate.plan(fails, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True), skip=3)
    assert [e["message"] for e in house.engine.sync()["errors"]] == ["the disk is full"]
    still_writing = not over.is_set()
    returned.set()
    assert not still_writing
    house.fate.clear()
    in_step(house)


def test_with_a_real_thread_over_a_real_server(tmp_path: Path) -> None:
    """Nine batches, over connections of which each thread has its own."""
    with real_hosts() as hosts:
        house = RealHouse(hosts, tmp_path)
        house.engine.helper, house.engine.batch = one_helper, 5
        box = house.boxes["alice"]
        (book, *_) = box.shelves
        for n in range(43):
            box.put(book, {"first_name": f"Number{n}", "last_name": "Lovelace"}, tags=["CRM"])
        report = house.engine.sync()
        assert (report["errors"], sum(c["created"] for c in report["cycles"])) == ([], 43)
        texts = [str(i.rest["text"]) for i in box.all() if i.rest]
        stamps = [line for text in texts for line in text.splitlines() if line.startswith("X-CRMSYNC-LINK")]
        assert len(stamps) == len(set(stamps)) == len(house.crm.all()) == 43
        again = house.engine.sync()
        assert (again["writes"], again["errors"]) == (0, [])
        house.close()
