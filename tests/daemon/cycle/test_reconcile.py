"""Reconciliation: what no change listing has told of is found by comparing what is there with what is known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Refused
from tests.daemon.machine.house import House

Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    houses: list[House] = []

    def make(*quirks: str, **account: object) -> House:
        houses.append(House(tmp_path, quirks, people=("alice",), **account))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.mark.parametrize("select", ["owned", "department = Navy", "linked"])
def test_a_record_that_became_visible_comes_in_if_it_is_selected(build: Build, select: str) -> None:
    house = build(crm_select=select)
    record = house.record("Grace", "Hopper", department="Navy")
    house.crm.hide(record)
    house.sync()
    house.crm.reveal(record)
    house.sync()
    assert house.cards() == []
    house.engine.reconcile()
    assert len(house.cards()) == (0 if select == "linked" else 1)
    house.idle()


def test_somebody_elses_record_that_became_visible_stays_out(build: Build) -> None:
    house = build()
    record = house.record("Grace", "Hopper", owner=house.bob)
    house.crm.hide(record)
    house.sync()
    house.crm.reveal(record)
    house.engine.reconcile()
    assert house.cards() == []
    house.idle()


def test_a_tagged_card_that_became_visible_goes_to_the_crm(build: Build) -> None:
    house = build()
    card = house.person("Grace", "Hopper")
    house.ecs.hide(card)
    house.sync()
    house.ecs.reveal(card)
    house.engine.reconcile()
    assert len(house.contacts()) == 1
    house.idle()


def test_what_is_known_is_not_asked_for_again(build: Build) -> None:
    house = build()
    house.person("Ada", "Lovelace")
    house.person("Edsger", "Dijkstra", tag=False)
    house.record("Grace", "Hopper")
    house.sync()
    house.engine.reconcile()
    before = [house.login.source.requests()]
    house.engine.reconcile()
    before.append(house.login.source.requests())
    house.sync()
    assert house.login.source.requests() - before[1] <= before[1] - before[0]  # a listing more, and no fetch
    assert house.engine.queue() == []


def test_a_change_that_was_abandoned_is_not_tried_again_before_it_changes_or_is_named(build: Build) -> None:
    house = build()
    card = house.person("Grace", "Hopper")
    house.sync()
    house.crm.faults.answer_next(lambda id: Refused(id, "too_long", "the CRM finds it too long"))
    house.ecs.edit(card, job_title="Rear Admiral")
    house.sync()
    house.engine.reject_abandon(card)
    assert house.engine.queue() == []
    house.engine.retry()
    house.engine.reconcile()
    assert house.the_record().columns["job_title"] is None
    assert house.engine.queue() == []
    house.engine.retry([card])
    house.sync()
    assert house.the_record().columns["job_title"] == "Rear Admiral"
    house.idle()


@pytest.mark.parametrize("how", ["the cursor is refused", "reconciliation"])
def test_a_record_that_waits_for_a_person_and_goes_unheard_waits_no_more(build: Build, how: str) -> None:
    """No change listing tells that it went, and nothing links it yet."""
    house = build("no tombstones in the CRM")
    for _ in range(2):
        house.person("Grace", "Hopper", tag=False)
    record = house.record("Grace", "Hopper")
    house.sync()
    assert len(house.engine.matches()) == 1
    house.crm.delete(record)
    if how == "reconciliation":
        house.engine.reconcile()
    else:
        house.crm.expire_cursors()
    house.sync()
    assert (house.engine.matches(), house.engine.queue()) == ([], [])
    house.idle()
