"""What the kill points have found: each story once, as short as it can be told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Deferred, Side
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.cycle.recover import INTERRUPTED
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point

LOST = Unreachable("no answer")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


def after(what: str, where: str) -> Callable[[Point], bool]:
    return lambda p: (p.what, p.where, p.after) == (what, where, True)


def dies(house: House, at: Callable[[Point], bool], act: Callable[[], object] | None = None) -> None:
    """The service is killed, in a sync or in ``act``, and started again."""
    house.clock.tick()
    house.fate.kill(at=at)
    with pytest.raises(Killed):
        (act or house.engine.sync)()
    house.restart()


def failed(id: str) -> Deferred:
    return Deferred(id, "the server failed (500)")


def no_intents(house: House) -> None:
    with house.state.reading() as tx:
        assert tx.intents.open("alice") == []


def test_a_server_that_fails_when_all_is_done_may_have_written(house: House) -> None:
    """500 to an update that stands: what it wrote is our own, and the edit that comes on top of it is no conflict."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    record = house.the_record().id
    house.crm.faults.answer(record, failed, applied=True)
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    house.crm.edit(record, job_title="Baroness")
    house.clock.tick(7200)
    house.sync()
    assert house.the_card().columns["job_title"] == "Baroness"
    assert [c for c in house.engine.conflicts() if c["winner"] is None] == []
    house.idle()
    no_intents(house)


def test_a_write_that_stands_in_part_is_told_once_however_often_it_is_found(house: House) -> None:
    """The rest may yet arrive, so it stays announced until the CRM has taken another write."""
    card = house.person(job_title="Analyst", company="Engines")
    house.sync()
    record = house.the_record().id
    house.ecs.edit(card, job_title="Countess", company="Looms")
    dies(house, after("update", "crm"))
    house.crm.edit(record, company="Mills")

    def told() -> list[tuple[object, object]]:
        lines = house.engine.item_history(card)
        found = [e for e in lines if (e["column"], e["reason"]) == ("job_title", INTERRUPTED)]
        return [(e["old"], e["new"]) for e in found]

    dies(house, lambda p: (p.what, p.after) == ("commit", True) and bool(told()))
    house.sync()
    assert told() == [("Analyst", "Countess")]
    house.sync()
    assert house.the_record().columns["company"] == house.the_card().columns["company"]
    house.idle()
    no_intents(house)


def test_what_another_account_has_written_meanwhile_is_not_told_as_ours(tmp_path: Path) -> None:
    """Each of the two has a card of the person, and writes the same to the record; ours was put off."""
    house = House(tmp_path, books=["Contacts"])
    ada = {"first_name": "Ada", "last_name": "Lovelace"}
    cards = {name: box.put(box.collections()[0].id, ada) for name, box in house.boxes.items()}
    house.ecs.tag(cards["alice"], "CRM")
    house.sync()
    (record,) = (r.id for r in house.crm.all())
    house.engine.link(cards["bob"], record)
    house.sync()
    for name, box in house.boxes.items():
        box.edit(cards[name], job_title="Countess")
    house.crm.faults.answer(record, failed)
    house.sync()
    house.clock.tick(7200)
    house.sync()
    with house.state.reading() as tx:
        told = [e.account for e in tx.history.find(record) if (e.side, e.column) == (Side.CRM, "job_title")]
    assert (told, house.crm.read(record).columns["job_title"]) == (["bob"], "Countess")
    house.idle()
    house.close()


def test_a_record_that_is_deleted_between_two_looks_makes_no_card(house: House) -> None:
    """The first listing told of it, the poll right after it that it is gone: nothing links it yet, but it is queued."""
    record = house.record()
    deleted: list[Point] = []

    def delete(point: Point) -> None:
        deleted.append(point)
        house.crm.delete(record)

    house.fate.plan(delete, at=lambda p: (p.what, p.where, p.after) == ("changes", "crm", True), skip=1)
    house.sync()
    assert deleted
    house.sync()
    assert house.cards() == []
    house.idle()


def test_a_card_that_went_before_its_create_was_confirmed_takes_the_record_along(house: House) -> None:
    card = house.person()
    dies(house, after("create", "crm"))
    house.ecs.delete(card)
    house.sync()
    assert (house.cards(), house.contacts()) == ([], [])
    assert house.engine.matches() == []
    house.idle()
    no_intents(house)


def test_an_edit_of_the_record_wins_when_its_card_went_before_the_create_was_confirmed(house: House) -> None:
    card = house.person(job_title="Analyst")
    dies(house, after("create", "crm"))
    house.ecs.delete(card)
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert house.the_card().columns["job_title"] == house.the_record().columns["job_title"] == "Countess"
    house.idle()


def test_a_record_that_went_before_its_create_was_confirmed_takes_the_card_along(house: House) -> None:
    record = house.record()
    dies(house, after("create", "alice"))
    house.crm.delete(record)
    house.sync()
    assert (house.cards(), house.contacts()) == ([], [])
    house.idle()
    no_intents(house)


def test_a_delete_whose_answer_was_lost_stands_in_the_history(house: House) -> None:
    card = house.person(job_title="Analyst")
    house.sync()
    record = house.the_record().id
    house.ecs.delete(card)
    house.crm.faults.fail("delete", LOST, after=True)
    house.sync()
    house.sync()
    assert house.contacts() == []
    gone = {(e["action"], e["column"]): e["old"] for e in house.engine.item_history(record)}
    assert gone["delete", "job_title"] == "Analyst"
    no_intents(house)


@pytest.mark.parametrize("then", ["", "killed before the create"])
@pytest.mark.parametrize("side", [Side.ECS, Side.CRM])
def test_what_a_person_has_brought_back_is_not_deleted_after_our_own_delete(
    house: House, side: Side, then: str
) -> None:
    """A card is deleted, and its record with it, though nobody hears of that; then the card is taken out of the trash.
    That the record is gone is our own doing, and nothing that anybody wants to happen to the card. Or the other way
    round."""
    house.person(job_title="Analyst")
    house.sync()
    here, there = (house.ecs, house.crm) if side is Side.ECS else (house.crm, house.ecs)
    item = house.the_card() if side is Side.ECS else house.the_record()
    here.delete(item.id)
    there.faults.fail("delete", LOST, after=True)
    house.sync()
    kept = {n: getattr(item, n) for n in ("uid", "columns", "tags", "stamp", "link", "owner")}
    here.insert(item.collection, item.id, kind=item.kind, **kept)
    if then:
        dies(house, lambda p: p.what == "create" and not p.after)
        house.clock.tick(3600)
    house.sync()
    assert [c["job_title"] for c in (*house.cards(), *house.contacts())] == ["Analyst", "Analyst"]
    house.idle()
    no_intents(house)


def test_what_was_made_again_without_anybody_hearing_of_it_is_no_conflict(house: House) -> None:
    """An edit wins over a delete, the answer to the create is lost, and a person edits the new card."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.ecs.delete(card)
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.ecs.faults.fail("create", LOST, after=True)
    house.sync()
    house.ecs.edit(house.the_card().id, department="Poetry")
    house.sync()
    assert house.the_record().columns["department"] == "Poetry"
    assert house.engine.conflicts() == []
    house.idle()
    no_intents(house)


def test_an_interrupted_undo_of_a_create_never_deletes_the_original(house: House) -> None:
    house.record()
    house.sync()
    cycle = min(e["cycle"] for e in house.engine.item_history(house.the_card().id))
    dies(house, after("delete", "alice"), lambda: house.engine.undo(cycle))
    house.sync()
    assert house.cards() == []
    house.the_record()
    assert house.engine.undo(cycle)["undone"] == 1
    house.idle()
    house.the_record()


@pytest.mark.parametrize("sync_first", [False, True])
def test_an_interrupted_undo_of_an_edit_is_not_undone_by_the_next_cycle(
    house: House, sync_first: bool
) -> None:
    card = house.person(job_title="Analyst")
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    house.sync()
    cycle = max(e["cycle"] for e in house.engine.item_history(card) if e["column"] == "job_title")
    dies(house, after("update", "crm"), lambda: house.engine.undo(cycle))
    if sync_first:
        house.sync()
    house.engine.undo(cycle)
    house.sync()
    assert house.the_record().columns["job_title"] == "Analyst"
    assert house.the_card().columns["job_title"] == "Countess"
    (conflict,) = [c for c in house.engine.conflicts() if not c["resolved"]]
    assert (conflict["ecs"], conflict["crm"]) == ("Countess", "Analyst")
    house.idle()


def test_an_undo_that_is_asked_for_twice_puts_a_record_back_once(tmp_path: Path) -> None:
    house = House(tmp_path, ["the CRM has no external id"], people=["alice"], books=["Contacts"])
    card = house.person()
    house.sync()
    house.ecs.delete(card)
    house.sync()
    assert house.contacts() == []
    with house.state.reading() as tx:
        cycle = next(c for c in range(1, 9) if any(e.action == "delete" for e in tx.history.of_cycle(c)))
    for _ in range(2):
        house.engine.undo(cycle)
    assert len(house.contacts()) == 1
    house.close()


def test_what_people_edit_after_an_interrupted_undo_stays_linked(house: House) -> None:
    house.record()
    house.sync()
    card = house.the_card().id
    cycle = min(e["cycle"] for e in house.engine.item_history(card))
    house.clock.tick()
    house.fate.kill(at=lambda p: (p.what, p.where, p.after) == ("delete", "alice", False))
    with pytest.raises(Killed):
        house.engine.undo(cycle)
    house.restart()
    house.ecs.edit(card, job_title="Countess")
    assert house.engine.undo(cycle)["undone"] == 0
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()
    no_intents(house)


@pytest.fixture
def two_books(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"])
    yield made
    made.close()


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("mail", [True, False])
def test_a_card_that_was_moved_before_its_create_was_confirmed_keeps_its_record(
    two_books: House, applied: bool, mail: bool
) -> None:
    """It looks gone where it was: no reason to delete what was made for it, and what others have added there since."""
    house = two_books
    card = house.person(**({} if mail else {"email": None}), job_title="Analyst")
    house.crm.faults.fail("create", LOST, after=applied)
    house.sync()
    house.ecs.move(card, house.second)
    if applied:
        house.crm.edit(house.the_record().id, department="Navy")
    before = [record.id for record in house.crm.all()]
    house.sync()
    house.sync()
    record = house.the_record()
    assert before in ([], [record.id])
    (moved,) = house.ecs.all()
    assert moved.columns["department"] == record.columns["department"] == ("Navy" if applied else None)
    house.ecs.edit(moved.id, job_title="Countess")
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()
    no_intents(house)


@pytest.mark.parametrize("applied", [True, False])
def test_a_card_that_was_moved_takes_its_announced_create_along_though_nobody_says_that_it_left(
    tmp_path: Path, applied: bool
) -> None:
    """The server keeps no list of deletes: the card is seen where it is now before it is missed where it was."""
    house = House(tmp_path, ["no tombstones on the ECS"], people=["alice"])
    card = house.person(job_title="Analyst")
    house.crm.faults.fail("create", LOST, after=applied)
    house.sync()
    house.ecs.move(card, house.second)
    if applied:
        house.crm.edit(house.the_record().id, department="Navy")
    before = [record.id for record in house.crm.all()]
    house.sync()
    house.engine.reconcile()
    assert before in ([], [house.the_record().id])
    (moved,) = house.ecs.all()
    assert moved.columns["department"] == ("Navy" if applied else None)
    house.idle()
    no_intents(house)
    house.close()


def test_a_copy_does_not_take_over_the_create_of_the_card_that_it_was_made_of(two_books: House) -> None:
    house = two_books
    card = house.person()
    house.crm.faults.fail("create", LOST, after=True)
    house.sync()
    copy = house.ecs.copy(card)
    house.ecs.move(copy, house.second)
    house.ecs.delete(card)
    house.sync()
    house.sync()
    assert len(house.contacts()) == len(house.ecs.all()) == 1
    house.idle()
    no_intents(house)


def test_what_an_unheard_write_replaced_is_logged_when_its_link_is_given_up(two_books: House) -> None:
    house = two_books
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Baroness")
    house.clock.tick()
    house.ecs.edit(card, job_title="Countess")
    dies(house, after("update", "crm"))
    assert house.the_record().columns["job_title"] == "Countess"
    house.ecs.hide(card)
    house.only["alice", "alice"] = ("Private",)
    house.restart()
    house.engine.reconcile()
    house.sync()
    (lost,) = house.engine.conflicts()
    assert (lost["column"], lost["crm"], lost["winner"]) == ("job_title", "Baroness", "ecs")
    no_intents(house)


def test_a_card_that_goes_while_its_record_is_made_again_takes_the_record_with_it(house: House) -> None:
    """The list of changes tells of it once; making the record again must not be taken for its having come back."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    house.clock.tick()
    house.fate.kill(at=lambda p: (p.what, p.where, p.after) == ("create", "crm", False))
    with pytest.raises(Killed):
        house.engine.sync()
    house.ecs.delete(card)
    house.restart()
    house.sync()
    assert house.contacts() == []
    assert house.ecs.all() == []
    house.idle()
    no_intents(house)


def test_what_the_list_of_changes_has_told_already_is_settled_by_the_whole_list(house: House) -> None:
    """A cursor that is ahead of what the sync table knows: nobody will ever be told of the card again."""
    card = house.person(job_title="Analyst")
    house.sync()
    before = house.save()
    house.ecs.delete(card)
    house.sync()
    with house.state.reading() as tx:
        (scope,) = tx.cursors.scopes("ecs/")
        ahead = tx.cursors.get(scope)
    house.restore(before)
    house.ecs.delete(card)
    with house.state.transaction() as tx:
        assert ahead is not None
        tx.cursors.put(scope, ahead)
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert [row["error"] for row in house.engine.queue()] == [
        "the server says that it is gone, and its list of changes does not"
    ]
    house.clock.tick(60)
    house.sync()
    assert house.the_card().columns["job_title"] == house.the_record().columns["job_title"] == "Countess"
    house.idle()


@pytest.mark.parametrize("first", ["card", "record"])
def test_a_card_that_is_made_again_by_hand_is_the_one_that_its_edited_record_gets(
    house: House, first: str
) -> None:
    """Deleted by mistake and made again; meanwhile a colleague edits the record, which therefore stays."""
    card = house.person(job_title="Analyst", department="Engines")
    house.sync()
    columns = house.the_card().columns
    if first == "record":
        house.crm.edit(house.the_record().id, job_title="Countess")
    house.ecs.delete(card)
    house.ecs.put("contacts", {n: v for n, v in columns.items() if n != "department"}, tags=["CRM"])
    if first == "card":
        house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert len(house.ecs.all()) == len(house.contacts()) == 1
    (asked,) = house.engine.conflicts()
    assert (asked["column"], asked["ecs"], asked["crm"]) == ("job_title", "Analyst", "Countess")
    assert house.the_card().columns["department"] == "Engines"
    house.idle()


def test_a_card_whose_former_record_was_given_to_another_one_gets_a_record_of_its_own(house: House) -> None:
    card = house.person("Ada", job_title="Analyst")
    house.sync()
    record = house.the_record().id
    other = house.ecs.put("contacts", {"first_name": "Ada", "last_name": "Byron"})
    house.sync()
    house.engine.unlink(card)
    house.engine.link(other, record)
    house.sync()
    house.ecs.untag(card, "CRM")
    house.sync()
    house.ecs.tag(card, "CRM")
    house.clock.tick()
    house.fate.kill(at=lambda p: (p.what, p.where, p.after) == ("create", "crm", True), skip=1)
    with pytest.raises(Killed):
        house.engine.sync()
    house.restart()
    house.sync()
    assert len(house.contacts()) == 2
    with house.state.reading() as tx:
        linked = {p.ecs_id: p.crm_id for p in tx.pairs.listing("alice") if p.state == "linked"}
    assert linked[other] == record
    assert set(linked) == {card, other}
    house.clock.tick(7200)
    house.sync()
    assert house.engine.queue() == []
    house.idle()
    no_intents(house)


def test_what_is_selected_while_its_address_book_is_away_comes_in_when_it_is_back(two_books: House) -> None:
    """The cursor is gone by then; that everything is wanted now must not go with it."""
    house = two_books
    house.person("Ada")
    house.person("Grace", tag=False)
    house.sync()
    house.only["alice", "alice"] = ("Private",)
    house.restart()
    house.engine.reconcile()
    house.sync()
    house.settings["alice"]["select_all"] = True
    house.only.clear()
    house.restart()
    house.clock.tick()
    house.sync()
    assert sorted(str(r["first_name"]) for r in house.contacts()) == ["Ada", "Grace"]
    house.idle()
