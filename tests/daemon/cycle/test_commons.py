"""What one account has fetched of a shared collection serves those who are shown the same, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind, Record
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.account import Private
from crmsync.daemon.cycle.commons import Commons
from tests.daemon.machine.house import SHARED, House

CARD = {"first_name": "Ada", "last_name": "Lovelace", "job_title": "Analyst"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, shared=True)
    _same_outlook(made)
    yield made
    made.close()


def _same_outlook(house: House) -> None:
    """The shared server is the last that each account looks at."""
    for account in house.engine.accounts.values():
        account.mailboxes[-1].outlook = "the shared server"


def in_step(house: House, *, private: bool = False) -> str:
    card = str(house.boxes[SHARED].put("shared", CARD, tags=["CRM"], private=private))
    house.sync()
    house.sync()
    return card


def fetches(house: House) -> list[str]:
    """Of the shared server, from now on."""
    seen: list[str] = []
    house.fate.witness = lambda p: (
        seen.append(p.what) if (p.where, p.what, p.after) == (SHARED, "fetch", False) else None
    )
    return seen


def test_a_change_is_fetched_once(house: House) -> None:
    card = in_step(house)
    asked = fetches(house)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.sync()
    assert asked == ["fetch"]
    assert [c["job_title"] for c in house.contacts()] == ["Countess"]
    house.idle()


def test_another_outlook_is_another_item(house: House) -> None:
    card = in_step(house)
    house.engine.accounts["bob"].mailboxes[-1].outlook = "another time zone"
    asked = fetches(house)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.sync()
    assert asked == ["fetch"] * 2


def test_what_is_private_is_not_shared(tmp_path: Path) -> None:
    house = House(tmp_path, shared=True, private=Private.SYNC)
    _same_outlook(house)
    try:
        card = in_step(house, private=True)
        asked = fetches(house)
        house.boxes[SHARED].edit(card, job_title="Countess")
        house.sync()
        assert asked == ["fetch"] * 2
    finally:
        house.close()


def test_who_was_not_told_what_changed_is_given_nothing(house: House) -> None:
    """Bob has a row for the change, and just now the server does not talk to him."""
    card = in_step(house)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.crm.faults.fail("changes", Unreachable("down"), times=3)
    house.sync(names=["bob"])
    house.crm.faults.clear()
    house.sync(names=["alice"])
    house.boxes[SHARED].faults.fail("changes", Unreachable("down"))
    asked = fetches(house)
    report = house.sync(names=["bob"])
    assert {e["code"] for e in report["errors"]} == {"unreachable"}
    assert asked == []


def test_it_is_bounded() -> None:
    commons = Commons(most=3, room=20)
    some = [Record(str(n), "v", Kind.CONTACT, {}, native="x" * 8) for n in range(5)]
    commons.put("here", some)
    kept = [r.id for r in some if commons.look("here", r.id, "v")]
    assert kept == ["3", "4"]
    assert commons.look("here", "4", "w") is None
    assert commons.look("there", "4", "v") is None
    commons.put("here", [some[4]])
    assert commons.look("here", "3", "v")
