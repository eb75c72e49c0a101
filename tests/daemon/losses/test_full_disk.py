"""The disk that holds the state takes nothing more, from any commit on, for a while: the sync says so, nothing that was
confirmed is lost, and with space again it ends as if there had always been enough."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crmsync.state.errors import StateError
from tests.daemon.machine.ending import Ending, alike, ending_of
from tests.daemon.machine.house import House
from tests.daemon.machine.rest import come_to_rest, idle
from tests.daemon.machine.trouble import Point

NIGHTLY = os.environ.get("CRMSYNC_MACHINE") == "nightly"
EVERY = 1 if NIGHTLY else 11
FULL = "no space is left for the state database"


@contextmanager
def _house(folder: Path) -> Iterator[House]:
    folder.mkdir()
    house = House(folder, people=["alice"])
    try:
        yield house
    finally:
        house.close()


def _commit(point: Point) -> bool:
    return point.what == "commit" and not point.after


def _fill(house: House, number: int, lasts: int) -> None:
    """The disk is full from this commit on, for so many of them."""
    for later in range(lasts):
        house.fate.plan(_refuse, at=_commit, skip=number + later)


def _refuse(point: Point) -> None:
    raise StateError(FULL, "free some space, and the sync goes on by itself")


def _story(house: House) -> Ending:
    """People edit, delete and untag on both sides; the service syncs until it comes through."""
    ada = house.person(job_title="Analyst", company="Analytical Engines")
    bea = house.person("Bea", "Nomail", email=None)
    cid = house.person("Cid", "Untagged", job_title="Knight")
    house.record("Grace", "Hopper", department="Navy")
    house.record("Edsger", "Dijkstra", email=None)
    _sync(house)
    records = {i.columns["first_name"]: i.id for i in house.crm.all()}
    house.ecs.edit(ada, job_title="Countess", company="by ecs")
    house.clock.tick()
    house.crm.edit(records["Ada"], company="by crm", department="Poetry")
    house.ecs.delete(bea)
    house.crm.delete(records["Edsger"])
    house.ecs.untag(cid, "CRM")
    _sync(house)
    come_to_rest(house)
    idle(house)
    return ending_of(house)


def _sync(house: House) -> None:
    while house.sync()["errors"]:
        pass


@pytest.mark.parametrize("lasts", [1, 4])
def test_it_ends_the_same_whenever_the_disk_is_full(tmp_path: Path, lasts: int) -> None:
    with _house(tmp_path / "calm") as calm:
        ending = _story(calm)
        commits = sum(_commit(p) for p in calm.fate.passed)
    for number in range(0, commits, EVERY):
        with _house(tmp_path / str(number)) as house:
            _fill(house, number, lasts)
            assert alike(_story(house), ending), f"full at commit {number}"


def test_it_is_said_in_words_and_shows_in_the_status(tmp_path: Path) -> None:
    with _house(tmp_path / "house") as house:
        house.person()
        _fill(house, 0, 100)
        (error,) = house.sync()["errors"]
        assert (error["code"], error["retry"]) == ("state_failed", True)
        assert FULL in error["message"]
        assert "free some space" in error["message"]
        assert house.contacts() == []
        house.fate.clear()
        assert house.sync()["errors"] == []
        assert len(house.contacts()) == 1
        house.idle()


def test_nothing_is_sent_that_could_not_be_announced(tmp_path: Path) -> None:
    with _house(tmp_path / "house") as house:
        card = house.person(job_title="Analyst")
        house.sync()
        before = ending_of(house)
        house.ecs.edit(card, job_title="Countess")
        seen = len(house.fate.passed)
        _fill(house, 0, 1000)
        house.sync()
        assert not [p for p in house.fate.passed[seen:] if p.writes and p.what != "commit"]
        house.ecs.edit(card, job_title="Analyst")
        assert ending_of(house) == before
