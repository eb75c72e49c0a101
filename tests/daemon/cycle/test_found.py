"""What the state machine has found: each story once, as short as it can be told."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.connectors.errors import Unreachable
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point

LOST = Unreachable("no answer")
Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    houses: list[House] = []

    def make(*quirks: str) -> House:
        houses.append(House(tmp_path, quirks))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


def after(what: str, where: str) -> Callable[[Point], bool]:
    return lambda p: (p.what, p.where, p.after) == (what, where, True)


def dies(house: House, at: Callable[[Point], bool]) -> None:
    """The service is killed in a sync, and started again."""
    house.fate.kill(at=at)
    with pytest.raises(Killed):
        house.sync()
    house.restart()


def agreed(house: House, column: str) -> object:
    """What both sides show."""
    here, there = house.the_card().columns[column], house.the_record().columns[column]
    assert here == there
    return here


@pytest.mark.parametrize("loser", ["ecs", "crm"])
def test_the_loser_is_logged_although_the_process_died_after_the_write(build: Build, loser: str) -> None:
    house = build()
    card = house.person(job_title="Analyst")
    house.sync()
    edits = [
        lambda: house.ecs.edit(card, job_title="by ecs"),
        lambda: house.crm.edit(house.the_record().id, job_title="by crm"),
    ]
    for edit in edits if loser == "ecs" else reversed(edits):
        edit()
        house.clock.tick()
    dies(house, after("update", "alice" if loser == "ecs" else "crm"))
    house.sync()
    assert agreed(house, "job_title") == ("by crm" if loser == "ecs" else "by ecs")
    (conflict,) = house.engine.conflicts()
    assert (conflict["base"], conflict["ecs"], conflict["crm"]) == ("Analyst", "by ecs", "by crm")
    assert conflict["winner"] != loser
    (entry,) = [e for e in house.engine.item_history(card) if e["column"] == "job_title"]
    assert entry["old"] == f"by {loser}"
    house.idle()


@pytest.mark.parametrize("how", ["lost", "killed"])
def test_an_edit_that_is_taken_back_after_a_lost_answer_stays_taken_back(build: Build, how: str) -> None:
    house = build()
    card = house.person(job_title="Analyst")
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    if how == "lost":
        house.crm.faults.fail("update", LOST, after=True)
        house.sync()
    else:
        dies(house, after("update", "crm"))
    assert house.the_record().columns["job_title"] == "Countess"
    house.ecs.edit(card, job_title="Analyst")
    house.sync()
    assert agreed(house, "job_title") == "Analyst"
    assert house.engine.conflicts() == []
    house.idle()


def test_a_write_to_the_card_whose_answer_was_lost_is_no_restored_state(build: Build) -> None:
    house = build()
    house.person(job_title="Analyst", department="Navy")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.ecs.faults.fail("update", LOST, after=True)
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Duchess", department="Army")
    house.sync()
    assert (agreed(house, "job_title"), agreed(house, "department")) == ("Duchess", "Army")
    assert house.engine.conflicts() == []
    house.idle()


@pytest.mark.parametrize("quirk", [(), ("the CRM has no external id",)])
@pytest.mark.parametrize("edited", ["ecs", "crm"])
@pytest.mark.parametrize("mail", [{}, {"email": None}])
def test_what_was_edited_since_a_create_whose_answer_was_lost_is_an_edit(
    build: Build, quirk: tuple[str, ...], edited: str, mail: dict[str, None]
) -> None:
    house = build(*quirk)
    card = house.person(job_title="Analyst", **mail)
    house.crm.faults.fail("create", LOST, after=True)
    house.sync()
    if edited == "ecs":
        house.ecs.edit(card, job_title="Countess")
    else:
        house.crm.edit(house.the_record().id, department="Navy")
    house.sync()
    assert agreed(house, "job_title") == ("Countess" if edited == "ecs" else "Analyst")
    assert agreed(house, "department") == (None if edited == "ecs" else "Navy")
    house.idle()


def test_a_create_is_searched_from_its_first_attempt_on(build: Build) -> None:
    house = build("the CRM has no external id", "the CRM has no search")
    house.person()
    house.crm.faults.fail("create", LOST, after=True)
    house.sync()
    house.crm.faults.fail("create", LOST)
    house.sync()
    house.sync()
    house.idle()
    assert len(house.contacts()) == 1


def test_an_edit_wins_over_a_delete_also_when_the_answer_to_its_create_was_lost(build: Build) -> None:
    house = build()
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    house.crm.faults.fail("create", LOST, after=True)
    house.sync()
    house.ecs.edit(card, job_title="Duchess")
    house.sync()
    assert agreed(house, "job_title") == "Duchess"
    house.idle()


def test_a_crm_that_lists_only_versions_is_read_record_by_record(build: Build) -> None:
    house = build("the CRM lists only versions")
    house.record()
    house.sync()
    house.record("Edsger", "Dijkstra")
    house.sync()
    assert sorted(str(c["first_name"]) for c in house.cards()) == ["Edsger", "Grace"]
    house.idle()


def test_a_card_that_is_moved_and_untagged_is_unlinked(build: Build) -> None:
    house = build()
    card = house.person()
    house.sync()
    house.ecs.untag(house.ecs.move(card, house.second), "CRM")
    house.sync()
    assert len(house.contacts()) == 1
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    (card_now,) = house.ecs.all()
    assert card_now.columns["job_title"] is None
    house.idle()


def test_an_untagged_copy_in_another_book_changes_nothing(build: Build) -> None:
    house = build()
    card = house.person()
    house.sync()
    house.ecs.untag(house.ecs.move(house.ecs.copy(card), house.second), "CRM")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert agreed(house, "job_title") == "Countess"
    assert len(house.ecs.all()) == 2
    house.idle()


@pytest.mark.parametrize("operation", ["changes", "fetch"])
def test_a_card_that_is_moved_to_a_book_that_does_not_answer_is_not_deleted(
    build: Build, operation: str
) -> None:
    house = build()
    card = house.person()
    house.sync()
    house.ecs.move(card, house.second)
    house.ecs.faults.fail(operation, LOST, detail=house.second)
    house.sync()
    assert len(house.contacts()) == 1
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    (moved,) = house.ecs.all()
    assert moved.columns["job_title"] == "Countess"
    assert len(house.contacts()) == 1
    house.idle()


def test_a_card_that_is_moved_while_it_is_being_edited_is_not_deleted(build: Build) -> None:
    house = build()
    card = house.person()
    house.sync()
    moved = house.ecs.move(card, house.second)
    minute = timedelta(minutes=1)
    house.sync(settle=minute)
    house.clock.tick(55)
    house.ecs.edit(moved, job_title="Countess")
    house.sync(settle=minute)
    assert len(house.contacts()) == 1
    house.clock.tick(70)
    house.sync(settle=minute)
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()


def test_a_conflict_can_be_decided_after_its_card_was_moved(build: Build) -> None:
    house = build()
    card = house.person("Grace", "Hopper", department="Yale")
    house.record("Grace", "Hopper", department="Navy")
    house.sync()
    house.ecs.move(card, house.second)
    house.sync()
    (conflict,) = house.engine.conflicts()
    house.engine.resolve(conflict["item"], "department", keep="crm")
    house.sync()
    (moved,) = house.ecs.all()
    assert moved.columns["department"] == house.the_record().columns["department"] == "Navy"
    house.idle()


def test_a_listing_that_left_out_what_is_there_proves_no_delete(build: Build) -> None:
    """The card was moved into a book whose listing came back empty, although a linked card stands in it."""
    house = build()
    house.person()
    house.sync()
    moving = house.ecs.put(house.second, {"first_name": "Grace", "last_name": "Hopper"}, tags=["CRM"])
    house.sync()
    house.ecs.move(moving, house.book)
    house.ecs.expire_cursors()
    house.ecs.faults.empty_listings = 1
    house.sync()
    assert len(house.contacts()) == 2
    house.sync()
    house.sync()
    assert len(house.contacts()) == len(house.ecs.all()) == 2
    house.idle()


def test_a_card_that_is_moved_before_it_has_its_stamp_keeps_its_record(build: Build) -> None:
    house = build()
    card = house.person()
    dies(house, lambda p: (p.what, p.where, p.after) == ("update", "alice", False))
    record = house.the_record().id
    house.ecs.move(card, house.second)
    house.sync()
    assert house.the_record().id == record
    house.idle()


def test_a_new_record_of_a_person_whose_card_was_deleted_comes_in(build: Build) -> None:
    house = build()
    card = house.person("Grace", "Hopper")
    house.sync()
    house.ecs.delete(card)
    house.sync()
    assert house.contacts() == []
    house.record("Grace", "Hopper", department="Navy")
    house.sync()
    assert len(house.contacts()) == len(house.cards()) == 1
    house.idle()


def test_a_new_record_of_a_person_whose_card_is_deleted_at_that_moment_comes_in(build: Build) -> None:
    house = build()
    card = house.person("Grace", "Hopper", tag=False)
    house.sync()
    house.record("Grace", "Hopper", department="Navy")
    house.fate.plan(
        lambda p: house.ecs.delete(card), at=lambda p: (p.where, p.what, p.after) == ("crm", "search", False)
    )
    house.sync()
    assert len(house.contacts()) == len(house.cards()) == 1
    house.idle()


def test_a_card_whose_link_was_given_up_is_not_linked_again_by_moving_it(build: Build) -> None:
    house = build()
    card = house.person()
    house.sync()
    house.engine.unlink(card)
    house.ecs.move(card, house.second)
    house.sync()
    (moved,) = house.ecs.all()
    house.ecs.edit(moved.id, job_title="Countess")
    house.sync()
    assert house.the_record().columns["job_title"] != "Countess"
    house.idle()


def test_a_card_that_is_moved_and_tagged_again_is_linked_again(build: Build) -> None:
    house = build()
    card = house.person()
    house.sync()
    house.ecs.untag(card, "CRM")
    house.sync()
    moved = house.ecs.move(card, house.second)
    house.ecs.tag(moved, "CRM")
    house.ecs.edit(moved, job_title="Countess")
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()


def test_a_lost_state_is_rebuilt_with_one_request_for_many_items(build: Build) -> None:
    house = build()
    for number in range(30):
        house.person(f"Number{number}", "Lovelace", email=f"n{number}@example.com")
    house.sync()
    house.restart_with_nothing()
    house.engine.batch = 30
    before = house.login.source.requests()
    house.sync()
    assert house.login.source.requests() - before < 20
    assert len(house.contacts()) == len(house.cards()) == 30
    house.idle()


def test_a_card_without_a_link_that_is_missing_from_a_whole_listing_is_nobodys_partner_any_more(
    build: Build,
) -> None:
    house = build("no tombstones on the ECS")
    card = house.person("Grace", "Hopper", tag=False)
    house.sync()
    house.ecs.delete(card)
    house.ecs.expire_cursors()
    house.sync()
    with house.state.reading() as tx:
        assert tx.index.iterate("alice", house.book) == []
    assert house.engine.queue() == []
    house.idle()


def test_what_the_crm_only_shows_is_not_erased_when_its_record_is_made_again(build: Build) -> None:
    house = build("the CRM's companies are read only")
    card = house.person(job_title="Analyst", company="Analytical Engines")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    house.sync()
    house.sync()
    assert agreed(house, "job_title") == "Countess"
    assert house.the_card().columns["company"] == "Analytical Engines"
    house.idle()


@pytest.mark.parametrize("later", ["ecs", "crm"])
def test_the_later_edit_wins_on_a_server_that_tells_times_only_when_asked(build: Build, later: str) -> None:
    house = build("the ECS tells times only when asked")
    card = house.person(job_title="Analyst")
    house.sync()
    edits = [
        lambda: house.ecs.edit(card, job_title="by ecs"),
        lambda: house.crm.edit(house.the_record().id, job_title="by crm"),
    ]
    for edit in edits if later == "crm" else reversed(edits):
        edit()
        house.clock.tick()
    house.sync()
    assert agreed(house, "job_title") == f"by {later}"
    house.idle()


def test_times_cost_a_request_only_where_a_clock_decides(build: Build) -> None:
    house = build("the ECS tells times only when asked")
    card = house.person(job_title="Analyst", department="Mathematics")
    house.sync()
    asked: list[str] = []
    house.fate.witness = lambda p: asked.append(p.what)
    house.ecs.edit(card, job_title="Countess")
    house.crm.edit(house.the_record().id, department="Engines")
    house.sync()
    assert "dates" not in asked
    house.ecs.edit(card, job_title="by ecs")
    house.crm.edit(house.the_record().id, job_title="by crm")
    house.sync()
    assert "dates" in asked
