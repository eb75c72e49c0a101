"""Reconciliation: what no change listing has told of is found by comparing what is there with what is known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Refused
from crmsync.connectors.errors import ConnectorError, Forbidden, NotFound, Unreachable
from tests.daemon.machine.house import SHARED, House

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


# ── A login for which nothing is there any more ──────────────────────────────────────────────────────────────


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[House]:
    """A card in a book that is shared with Bob through a login that has nothing else."""
    house = House(tmp_path, shared=True, owner="team")
    house.boxes[SHARED].put("shared", {"first_name": "Ada", "last_name": "Lovelace"}, tags=["CRM"])
    house.sync(names=["bob"])
    yield house
    house.close()


def looked_after(house: House, error: ConnectorError | None) -> list[str]:
    """A day later: the states of Bob's links."""
    house.clock.tick(86_400)
    if error is not None:
        house.boxes[SHARED].faults.fail("collections", error, times=4)
    house.engine.reconcile(["bob"])
    house.boxes[SHARED].faults.clear()
    with house.state.reading() as tx:
        return [p.state for p in tx.pairs.listing("bob")]


@pytest.mark.parametrize("error", [Forbidden("403"), NotFound("404")])
def test_what_a_login_is_refused_is_unlinked_when_it_is_refused_again(
    shared: House, error: ConnectorError
) -> None:
    assert looked_after(shared, error) == ["linked"]
    assert looked_after(shared, error) == ["unlinked"]
    assert (len(shared.items(SHARED)), len(shared.contacts())) == (1, 1)
    assert looked_after(shared, None) == ["linked"]
    assert (len(shared.items(SHARED)), len(shared.contacts())) == (1, 1)


def test_a_login_that_was_let_in_again_starts_anew(shared: House) -> None:
    for error in (Forbidden("403"), None, Forbidden("403"), Unreachable("down")):
        assert looked_after(shared, error) == ["linked"]


def test_a_login_that_does_not_answer_proves_nothing(shared: House) -> None:
    for _ in range(3):
        assert looked_after(shared, Unreachable("down")) == ["linked"]


def test_what_came_back_and_was_left_out_of_the_first_listing_is_linked_again(build: Build) -> None:
    house = build()
    house.person("Grace", "Hopper")
    house.sync()
    house.only["alice", "alice"] = ("Private",)
    house.restart()
    house.engine.reconcile()
    house.only.clear()
    house.restart()
    house.ecs.faults.empty_listings = 1
    house.sync()
    assert states(house) == ["unlinked"]
    house.engine.reconcile()
    assert states(house) == ["linked"]
    assert len(house.contacts()) == 1
    house.idle()


def states(house: House) -> list[str]:
    with house.state.reading() as tx:
        return [p.state for p in tx.pairs.listing("alice")]


def test_what_stands_in_a_collection_that_is_no_longer_there_is_nobodys_partner(tmp_path: Path) -> None:
    """It was left alone there; linked to it, the record would wait for it in each sync."""
    house = House(tmp_path, people=("alice",), shared=True)
    card = house.boxes[SHARED].put(
        "shared", {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}, tags=["CRM"]
    )
    records = [house.record("Ada", "Lovelace", owner=house.bob, email="ada@example.com") for _ in range(2)]
    house.sync()
    house.engine.match_ignore(card)
    for record in records:
        house.crm.delete(record)
    house.sync()
    house.seen = {"alice": ("alice",)}
    house.restart()
    house.engine.reconcile()
    made = house.record("Ada", "Lovelace", email="ada@example.com")
    house.sync()
    assert [c["email"] for c in house.cards()] == ["ada@example.com"]
    house.idle()
    house.seen = {"alice": ("alice", SHARED)}
    house.restart()
    house.engine.reconcile()
    assert [r.id for r in house.items("crm")] == [made]
    house.close()
