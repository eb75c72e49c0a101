"""One story, killed at every write and at every commit, before and after, and with every answer lost once: it always
ends as if nothing had happened."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crmsync.connectors.errors import Unreachable
from tests.daemon.machine.house import House
from tests.daemon.machine.rest import come_to_rest, idle
from tests.daemon.machine.trouble import Killed, Point, die

Ending = tuple[object, ...]
NIGHTLY = os.environ.get("CRMSYNC_MACHINE") == "nightly"
WORLDS = {
    "usual": (),
    "without external ids": ("the CRM has no external id",),
    "without versions told": (
        "the ECS tells no version after a write",
        "the CRM tells no version after a write",
    ),
    "with neither, nor a search": (
        "the CRM has no external id",
        "the CRM has no search",
        "the ECS tells no version after a write",
        "the CRM tells no version after a write",
    ),
}


@pytest.mark.parametrize("quirks", WORLDS.values(), ids=WORLDS.keys())
def test_however_it_is_interrupted_it_ends_the_same(tmp_path: Path, quirks: tuple[str, ...]) -> None:
    with house_in(tmp_path / "calm", quirks) as calm:
        ending = story(calm)
        points = [p for p in calm.fate.passed if p.writes]
    assert {p.what for p in points} == {"create", "update", "delete", "commit"}
    for number, point in enumerate(points):
        for name, act in troubles(point).items():
            with house_in(tmp_path / f"{number}-{name}", quirks) as house:
                house.fate.plan(act, at=lambda p: p.writes, skip=number)
                assert story(house) == ending, f"{name} at point {number}: {point}"


def troubles(point: Point) -> dict[str, Callable[[Point], None]]:
    """What is tried at this point. Just before a write, the world is as it was just after the one before: dying there
    is tried at night."""
    if point.after:
        return {"killed": die} if point.what == "commit" else {"killed": die, "no answer": _no_answer}
    return {"killed": die} if NIGHTLY else {}


def _no_answer(point: Point) -> None:
    raise Unreachable(f"no answer to the {point.what}")


def story(house: House) -> Ending:
    """People on both sides make, edit, delete and untag; in between the service syncs. Returns how it ends."""
    ada = house.person(job_title="Analyst", company="Analytical Engines")
    bea = house.person("Bea", "Nomail", email=None)
    cid = house.person("Cid", "Untagged", job_title="Knight")
    house.record("Grace", "Hopper", department="Navy")
    house.record("Edsger", "Dijkstra", email=None, department="Mathematics")
    sync(house)
    records = {i.columns["first_name"]: i.id for i in house.crm.all()}
    house.ecs.edit(ada, job_title="Countess", company="by ecs")
    house.clock.tick()
    house.crm.edit(records["Ada"], company="by crm", department="Poetry")
    house.crm.edit(records["Grace"], department="Army")
    house.ecs.delete(bea)
    house.crm.delete(records["Edsger"])
    house.ecs.untag(cid, "CRM")
    house.crm.edit(records["Cid"], job_title="Baron")
    sync(house)
    come_to_rest(house)
    idle(house)
    return ending_of(house)


def sync(house: House) -> None:
    """Until the service has come through without dying."""
    house.clock.tick()
    try:
        house.engine.sync()
    except Killed:
        house.restart()
        sync(house)


def ending_of(house: House) -> Ending:
    """What stands, ids and times aside."""
    items = [
        (server, sorted(item.tags), {n: v for n, v in item.columns.items() if v is not None})
        for server in house.servers
        for item in house.items(server)
    ]
    log = [(c["column"], c["base"], c["ecs"], c["crm"], c["winner"]) for c in house.engine.conflicts()]
    return sorted(items, key=repr), sorted(log)


@contextmanager
def house_in(folder: Path, quirks: tuple[str, ...]) -> Iterator[House]:
    folder.mkdir()
    house = House(folder, quirks, people=["alice"])
    try:
        yield house
    finally:
        house.close()
