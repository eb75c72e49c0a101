"""Undo on a card of a shared address book, which each of two accounts has linked to the same record."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machine.house import SHARED, House


class Card:
    """Ada's; her job title in the CRM has been carried over by one of the accounts."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._box = house.boxes[SHARED]
        ada = {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.com",
            "job_title": "Analyst",
        }
        self._id = self._box.put(self._box.collections()[0].id, ada, tags=["CRM"])
        for _ in range(3):
            house.sync()
        (self._record,) = (r.id for r in house.crm.all())
        self.in_crm("Countess")
        house.sync()

    def in_crm(self, title: str) -> None:
        self._house.crm.edit(self._record, job_title=title)

    def shown(self) -> tuple[object, object]:
        """The title on the card, and in the CRM."""
        card, record = self._box.read(self._id), self._house.crm.read(self._record)
        return card.columns["job_title"], record.columns["job_title"]

    def written(self, title: str) -> int:
        """The last cycle that wrote this title."""
        with self._house.state.reading() as tx:
            lines = tx.history.find(self._id)
        return max(e.cycle for e in lines if (e.column, e.new) == ("job_title", title))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, shared=True)
    yield made
    made.close()


@pytest.fixture
def card(house: House) -> Card:
    return Card(house)


def test_what_is_put_back_is_no_edit_for_the_other_account(house: House, card: Card) -> None:
    house.engine.undo(card.written("Countess"))
    for _ in range(3):
        house.sync()
    assert card.shown() == ("Analyst", "Countess")
    waiting = house.engine.conflicts(undecided=True)
    assert {(w["ecs"], w["crm"]) for w in waiting} == {("Analyst", "Countess")}


def test_what_the_other_account_has_written_again_stays(house: House, card: Card) -> None:
    cycle = card.written("Countess")
    card.in_crm("Baroness")
    house.sync()
    card.in_crm("Countess")
    with house.state.reading() as tx:
        first = next(e.account for e in tx.history.of_cycle(cycle))
    house.clock.tick()
    house.engine.sync(["bob" if first == "alice" else "alice"])
    later = card.written("Countess")
    assert later > cycle
    (kept,) = house.engine.undo(cycle)["kept"]
    assert kept["reason"] == f"written since by cycle {later}"
    assert card.shown() == ("Countess", "Countess")
