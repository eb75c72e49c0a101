"""A name is an item's only within its collection: two address books may both have a ``1.vcf``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Value
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.operations.finding import NoSuchItem
from tests.daemon.machine.cards import Card
from tests.daemon.machine.http_house import Hosts, HttpHouse, hosts

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def running() -> Iterator[Hosts]:
    with hosts() as made:
        yield made


@pytest.fixture(params=[(), ("no external id",)], ids=["external id", "none"])
def house(request: pytest.FixtureRequest, running: Hosts, tmp_path: Path) -> Iterator[HttpHouse]:
    made = HttpHouse(running, tmp_path, request.param)
    yield made
    made.close()


def put_both(house: HttpHouse) -> None:
    """A card of the same name in each of two books."""
    site = house.boxes["alice"]
    for book, name in ((house.book, "Ada"), (house.second, "Grace")):
        card = Card.new(f"uid-of-{name}", columns_of(name))
        card.select(frozenset({"CRM"}))
        site._store(book, "1.vcf", card)


def columns_of(name: str) -> dict[str, Value]:
    return {"first_name": name, "last_name": "Same", "email": f"{name.lower()}@example.com"}


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_interrupted_create_is_repeated_for_its_own_item(
    house: HttpHouse, applied: bool, times: int
) -> None:
    put_both(house)
    house.crm.faults.fail("create", Unreachable("the line is dead"), after=applied, times=times)
    for _ in range(times + 2):
        house.clock.tick(4000)
        report = house.engine.sync(("alice",))
    assert (report["writes"], report["errors"], house.engine.queue()) == (0, [], [])
    assert sorted(str(r.columns["first_name"]) for r in house.items("crm")) == ["Ada", "Grace"]
    with house.state.reading() as tx:
        pairs = list(tx.pairs.listing("alice"))
        assert tx.intents.open("alice") == []
    names = {r.id: r.columns["first_name"] for r in house.items("crm")}
    assert {(p.ecs_collection.rpartition(":")[2], names[p.crm_id]) for p in pairs} == {
        (house.book, "Ada"),
        (house.second, "Grace"),
    }


def test_an_answer_is_about_the_item_of_its_own_address_book(house: HttpHouse) -> None:
    """Each of the two may be either of two records; one is answered for."""
    for name in ("Ada", "Grace") * 2:
        house.crm.put("Contact", columns_of(name), owner=house.alice)
    put_both(house)
    house.engine.sync(("alice",))
    asked = [m for m in house.engine.matches() if m["side"] == "crm"]
    assert [m["item"] for m in asked] == ["1.vcf", "1.vcf"]
    with pytest.raises(NoSuchItem, match="several places"):
        house.engine.match_ignore("1.vcf")
    one, other = (m["collection"] for m in asked)
    house.engine.match_ignore(f"{one.rstrip('/')}/1.vcf")
    house.clock.tick()
    house.engine.sync(("alice",))
    assert [m["collection"] for m in house.engine.matches() if m["side"] == "crm"] == [other]
    house.engine.match_create(f"{other.rstrip('/')}/1.vcf")
    house.clock.tick()
    house.engine.sync(("alice",))
    assert [m for m in house.engine.matches() if m["side"] == "crm"] == []
    assert len(house.items("crm")) == 5
