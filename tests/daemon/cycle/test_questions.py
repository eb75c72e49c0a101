"""A question about a partner that answers itself: who was in the way goes, and the two who are left are linked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machine.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


def nothing_is_asked(house: House) -> None:
    assert house.engine.matches() == []
    assert house.engine.queue() == []
    house.idle()


def test_one_of_two_records_goes(house: House) -> None:
    house.person("Bea", "Byron")
    house.record("Bea", "Byron")
    house.record("Bea", "Byron")
    house.sync()
    assert {m["item"] for m in house.engine.matches()} == {
        i.id for s in ("alice", "crm") for i in house.items(s)
    }
    one, other = house.items("crm")
    house.crm.delete(one.id)
    house.crm.edit(other.id, department="Poetry")
    house.sync()
    assert house.the_card().columns["department"] == "Poetry"
    nothing_is_asked(house)


def test_one_of_two_cards_goes(house: House) -> None:
    house.person("Bea", "Byron")
    house.person("Bea", "Byron")
    house.record("Bea", "Byron")
    house.sync()
    one, other = house.items("alice")
    house.ecs.delete(one.id)
    house.ecs.edit(other.id, department="Poetry")
    house.sync()
    assert house.the_record().columns["department"] == "Poetry"
    nothing_is_asked(house)


def test_both_of_two_records_go(house: House) -> None:
    """Then it has none, and gets one."""
    card = house.person("Bea", "Byron")
    house.record("Bea", "Byron")
    house.record("Bea", "Byron")
    house.sync()
    for record in house.items("crm"):
        house.crm.delete(record.id)
    house.sync()
    house.ecs.edit(card, department="Poetry")
    house.sync()
    assert house.the_record().columns["department"] == "Poetry"
    nothing_is_asked(house)


def test_a_record_that_was_asked_about_takes_the_place_of_one_that_is_gone(house: House) -> None:
    card = house.person("Bea", "Byron")
    house.sync()
    former = house.the_record()
    for _ in range(2):
        house.person("Bea", "Byron", tag=False)
    house.record("Bea", "Byron")
    house.sync()
    assert len(house.engine.matches()) == 1
    house.crm.delete(former.id)
    house.ecs.edit(card, department="Poetry")
    house.sync()
    assert house.the_record().columns["department"] == "Poetry"
    nothing_is_asked(house)


def test_an_answer_is_used_once(house: House) -> None:
    """“Create it” was carried out: there is nothing left to take back, and no answer to what may be asked later on."""
    card = house.person("Bea", "Byron")
    for _ in range(2):
        house.record("Bea", "Byron")
    house.sync()
    house.engine.match_create(card)
    assert [d["item"] for d in house.engine.decided()] == [card]
    house.sync()
    assert len(house.items("crm")) == 3
    assert house.engine.decided() == []


def test_an_item_to_be_left_alone_that_a_person_links_is_not_left_alone_any_more(house: House) -> None:
    card = house.person("Bea", "Byron")
    one, _ = (house.record("Bea", "Byron") for _ in range(2))
    house.sync()
    house.engine.match_ignore(card)
    house.engine.match_link(card, one)
    house.sync()
    assert [d for d in house.engine.decided() if d["item"] == card] == []
