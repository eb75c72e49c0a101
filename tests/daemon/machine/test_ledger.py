"""The book-keeping of the stories knows what a service can know and tell, and excuses no more."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.daemon.machine.chronicle import Chronicle
from tests.daemon.machine.house import House
from tests.daemon.machine.http_house import HttpHouse, hosts
from tests.daemon.machine.ledger import Ledger
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.trouble import Killed


@pytest.fixture(params=["its id changes", "it keeps its id"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Premises]:
    """By what becomes of an item that is moved."""
    with hosts() if request.param == "it keeps its id" else nullcontext() as running:
        made = HttpHouse(running, tmp_path) if running is not None else House(tmp_path)
        yield made
        made.close()


@pytest.mark.server
@pytest.mark.parametrize("met", [False, True], ids=["nobody had looked", "the service knows it there"])
def test_a_card_that_is_moved_and_then_hidden_is_gone_only_for_who_has_not_met_it(
    house: Premises, met: bool
) -> None:
    """It left one collection and was never seen in the other: a delete looks the same. Once met there, it is merely
    out of sight, and a delete of its record would need another reason."""
    ledger = Ledger(house)
    card = house.boxes["alice"].put(house.second, {"first_name": "Ada", "last_name": "Same"}, tags=["CRM"])
    ledger.made_by_a_person("alice", card)
    house.settle()
    moved = ledger.move("alice", card, house.book)
    if met:
        house.settle()
    ledger.hide("alice", moved)
    house.settle()
    assert (ledger.wrongs, bool(house.items("crm"))) == ([], met)


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_interrupted_write_may_be_told_under_the_id_that_its_item_has_by_then(
    tmp_path: Path, interrupted: bool
) -> None:
    house = House(tmp_path)
    chronicle = Chronicle(house)
    card = house.person(job_title="Analyst")
    house.settle()
    house.crm.edit(house.the_record().id, job_title="Countess")
    chronicle.begins()
    house.fate.kill(at=lambda point: (point.where, point.what, point.after) == ("alice", "update", True))
    with pytest.raises(Killed):
        house.sync()
    if interrupted:
        chronicle.interrupted()
    house.restart()
    chronicle.moved("alice", card, house.ecs.move(card, house.second))
    house.settle()
    assert (chronicle.complaints() == []) is interrupted
    house.close()


@pytest.mark.parametrize(
    "both", [True, False], ids=["of the create, and of what came of the edit", "by hand"]
)
def test_what_an_operator_has_undone_is_not_lost(tmp_path: Path, both: bool) -> None:
    """A record is edited, and the card shows it. An undo takes the record away, another one the value off the card."""
    house = House(tmp_path)
    ledger = Ledger(house)
    ledger.made_by_a_person("alice", house.person(job_title="Analyst"))
    created = house.sync()["cycles"][0]["id"]
    ledger.edit("crm", house.the_record().id, {"job_title": "Countess"})
    changed = house.sync()["cycles"][0]["id"]
    ledger.undoing = True
    house.engine.undo(created)
    if both:
        house.engine.undo(changed)
    else:
        house.ecs.edit(house.the_card().id, job_title="Analyst")
    assert house.the_card().columns["job_title"] == "Analyst"
    assert (ledger.unaccounted() == []) is both
    house.close()


@pytest.mark.parametrize("typed", ["Countess", "Duchess"])
def test_a_write_that_never_arrived_may_be_told_where_a_person_has_typed_the_same(
    tmp_path: Path, typed: str
) -> None:
    house = House(tmp_path)
    ledger, chronicle = Ledger(house), Chronicle(house)
    card = house.person(job_title="Analyst")
    house.settle()
    record = house.the_record().id
    house.ecs.edit(card, job_title="Countess")
    house.fate.kill(at=lambda point: (point.where, point.what, point.after) == ("crm", "update", False))
    with pytest.raises(Killed):
        house.sync()
    house.restart()
    ledger.edit("crm", record, {"job_title": typed})
    house.settle()
    assert chronicle.complaints(ledger.typed) == []
    assert (chronicle.complaints() == []) is (typed == "Duchess")
    house.close()
