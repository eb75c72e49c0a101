"""What the state machine has found about undo: each story once, as short as it can be told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.errors import Throttled, Unreachable
from crmsync.state.model import Action
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed

LOST = Unreachable("no answer")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("how", ["lost", "killed"])
def test_taking_a_record_away_again_never_takes_its_card(house: House, how: str) -> None:
    """The answer to the delete was lost: the record is gone, and nobody had deleted it."""
    house.person()
    cycle = house.sync()["cycles"][0]["id"]
    if how == "lost":
        house.crm.faults.fail("delete", LOST, after=True)
        (kept,) = house.engine.undo(cycle)["kept"]
        assert "is not known" in kept["reason"]
    else:
        house.fate.kill(at=lambda p: (p.what, p.after) == ("delete", True))
        with pytest.raises(Killed):
            house.engine.undo(cycle)
        house.restart()
    house.sync()
    house.sync()
    assert (house.contacts(), len(house.cards())) == ([], 1)
    house.idle()


def test_what_could_not_be_taken_away_stays_linked(house: House) -> None:
    house.person(job_title="Analyst")
    cycle = house.sync()["cycles"][0]["id"]
    house.crm.deny(house.the_record().id)
    (kept,) = house.engine.undo(cycle)["kept"]
    assert "refused" in kept["reason"]
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"


def test_a_record_that_another_account_has_linked_is_not_taken_away(tmp_path: Path) -> None:
    house = House(tmp_path, shared=True)
    house.boxes["shared"].put("shared", {"first_name": "Ada", "last_name": "Lovelace"}, tags=["CRM"])
    cycle = house.sync()["cycles"][0]["id"]
    (kept,) = house.engine.undo(cycle)["kept"]
    assert kept["reason"] == "another account has linked it too"
    house.sync()
    assert (len(house.contacts()), len(house.items("shared"))) == (1, 1)
    house.idle()
    house.close()


def test_no_card_is_linked_again_to_a_record_that_has_gone(house: House) -> None:
    """The next cycle would take it for a record that a person has deleted, and delete the card."""
    card = house.person()
    house.sync()
    house.ecs.untag(card, "CRM")
    house.sync()
    with house.state.reading() as tx:
        (unlinked,) = (
            n for n in range(1, 9) if any(e.action == Action.UNLINK for e in tx.history.of_cycle(n))
        )
    house.crm.delete(house.the_record().id)
    house.sync()
    (kept,) = house.engine.undo(unlinked)["kept"]
    assert kept["reason"] == "its partner is no longer there"
    house.sync()
    assert house.the_card().id == card
    house.idle()


def test_of_an_edit_that_is_not_undone_every_column_is_named(house: House) -> None:
    house.person(job_title="Analyst", company="Engines")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess", company="Analytical Engines")
    cycle = house.sync()["cycles"][0]["id"]
    house.ecs.faults.fail("fetch", Throttled("too many requests"))
    answer = house.engine.undo(cycle)
    assert {(k["column"], k["reason"]) for k in answer["kept"]} == {
        (column, "too many requests") for column in ("job_title", "company")
    }
