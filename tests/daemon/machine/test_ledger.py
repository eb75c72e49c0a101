"""The book-keeping of the stories knows what a service can know, and excuses no more."""

from pathlib import Path

import pytest

from tests.daemon.machine.house import House
from tests.daemon.machine.ledger import Ledger


@pytest.mark.parametrize("met", [False, True], ids=["nobody had looked", "the service knows it there"])
def test_a_card_that_is_moved_and_then_hidden_is_gone_only_for_who_has_not_met_it(
    tmp_path: Path, met: bool
) -> None:
    """It left one collection and was never seen in the other: a delete looks the same. Once met there, it is merely
    out of sight, and a delete of its record would need another reason."""
    house = House(tmp_path)
    ledger = Ledger(house)
    card = house.ecs.put(house.second, {"first_name": "Ada", "last_name": "Same"}, tags=["CRM"])
    ledger.made_by_a_person("alice", card)
    house.settle()
    moved = ledger.move("alice", card, house.book)
    if met:
        house.settle()
    ledger.hide("alice", moved)
    house.settle()
    assert (ledger.wrongs, bool(house.items("crm"))) == ([], met)
    house.close()
