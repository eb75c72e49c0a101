"""Private meetings that repeat, and private dates of meetings that do not: kept out, masked, or exchanged."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.house import house
from tests.daemon.cycle.test_series import ALL, NAME, Scene, own, starts, weekly

PEOPLE = (
    "ORGANIZER:mailto:alice@example.com\nATTENDEE:mailto:ada@customer.example\n"
    "DESCRIPTION:the secret plan\nCLASS:{word}\nSUMMARY:Surgery\nLOCATION:Ward 5"
)
ONE = "20261207"
PRIVATE_ONE = own(
    ONE,
    f"DTSTART;TZID=Europe/Berlin:{ONE}T110000",
    f"DTEND;TZID=Europe/Berlin:{ONE}T120000",
    *PEOPLE.format(word="PRIVATE").split("\n"),
)
SECRETS = ("Surgery", "Ward 5", "secret", "ada@")


def whole(word: str = "PRIVATE") -> str:
    return weekly().replace("SUMMARY:Jour fixe\nLOCATION:Room 1", PEOPLE.format(word=word))


Open = Callable[[str], Scene]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(private: str) -> Scene:
            made = Scene(stack.enter_context(house(tmp_path, private=private)))
            store = made.house.crm.crm.store
            caller = store.caller(made.house.crm.sync.id)
            store.create(caller, [("Contact", {"LastName": "Lovelace", "Email": "ada@customer.example"})])
            return made

        yield opened


def invited(scene: Scene) -> int:
    crm = scene.house.crm.crm
    caller = crm.store.caller(scene.house.crm.sync.id)
    return crm.queries.query(caller, "SELECT Id FROM EventRelation", "").total


def told(row: Mapping[str, Any]) -> str:
    return "\n".join(str(value) for value in row.values())


def hidden(scene: Scene) -> None:
    """Nothing of it stands in the CRM, nor in what we have written down."""
    for row in scene.rows().values():
        assert not [s for s in SECRETS if s in told(row)]
    with scene.house.engine.state.reading() as tx:
        pairs = tx.pairs.listing("alice")
        kept = [str(tx.snapshots.get(pair.id)) for pair in pairs]
        kept += [str(entry) for pair in pairs for entry in tx.history.of_item(pair.id)]
    assert not [s for s in SECRETS for text in kept if s in text]


@pytest.mark.parametrize("word", ["PRIVATE", "CONFIDENTIAL", "X-OF-ITS-OWN"])
def test_skip_keeps_a_series_out(at: Open, word: str) -> None:
    scene = at("skip")
    scene.put(whole(word))
    scene.sync()
    assert scene.events() == 0
    hidden(scene)
    scene.idle()


def test_skip_keeps_one_date_out(at: Open) -> None:
    scene = at("skip")
    scene.put(weekly(), PRIVATE_ONE)
    scene.sync()
    assert sorted(scene.rows()) == [day for day in ALL if day != ONE]
    assert invited(scene) == 0
    hidden(scene)
    scene.idle()


@pytest.mark.parametrize("word", ["PRIVATE", "CONFIDENTIAL"])
def test_mask_says_when_and_no_more(at: Open, word: str) -> None:
    scene = at("mask")
    scene.put(whole(word))
    before = scene.text()
    scene.sync()
    rows = scene.rows()
    assert sorted(rows) == ALL
    assert {(r["Subject"], r["Location"], r["Description"]) for r in rows.values()} == {
        ("Private", None, None)
    }
    assert starts(rows)[ONE] == "2026-12-07 08:00"
    assert invited(scene) == 0
    hidden(scene)
    pair = scene.house.pairs()[f"{NAME}#{ONE}"]
    assert scene.house.edit(pair, {"Subject": "Public", "Location": "Here"}) == ""
    scene.sync()
    assert scene.text() == before  # nothing comes back
    scene.idle()


def test_mask_hides_one_date_of_a_series(at: Open) -> None:
    scene = at("mask")
    scene.put(weekly(), PRIVATE_ONE)
    scene.sync()
    rows = scene.rows()
    assert {n: r["Subject"] for n, r in rows.items()} == {
        n: "Private" if n == ONE else "Jour fixe" for n in ALL
    }
    assert starts(rows)[ONE] == "2026-12-07 10:00"
    assert invited(scene) == 0
    hidden(scene)
    scene.idle()


def test_what_becomes_private_is_masked_and_its_guests_go(at: Open) -> None:
    scene = at("mask")
    scene.put(whole("PUBLIC"))
    scene.sync()
    assert invited(scene) == len(ALL)
    scene.put(whole("PRIVATE"))
    scene.sync()
    assert {r["Subject"] for r in scene.rows().values()} == {"Private"}
    assert not [s for r in scene.rows().values() for s in SECRETS if s in told(r)]
    assert invited(scene) == 0
    scene.idle()


def test_what_becomes_private_is_left_alone_from_then_on(at: Open) -> None:
    """Kept out: what stands in the CRM stays there, and nothing more gets there."""
    scene = at("skip")
    scene.put(weekly())
    scene.sync()
    scene.put(weekly(), PRIVATE_ONE)
    scene.sync()
    assert not [s for r in scene.rows().values() for s in SECRETS if s in told(r)]
    assert scene.events() == len(ALL)
    scene.idle()


def test_sync_exchanges_it_as_any_other(at: Open) -> None:
    scene = at("sync")
    scene.put(whole())
    scene.sync()
    rows = scene.rows()
    assert {(r["Subject"], r["Location"], r["IsPrivate"]) for r in rows.values()} == {
        ("Surgery", "Ward 5", True)
    }
    assert invited(scene) == len(ALL)
    assert scene.house.edit(scene.house.pairs()[f"{NAME}#{ONE}"], {"Location": "Ward 6"}) == ""
    scene.sync()
    assert "LOCATION:Ward 6" in scene.text()
    assert scene.text().count("CLASS:PRIVATE") == 2
    scene.idle()


def test_the_window_moves_over_masked_ones(at: Open) -> None:
    scene = at("mask")
    scene.put(whole().replace("COUNT=8", "COUNT=30"))
    scene.sync()
    count = len(scene.rows())
    scene.house.clock.tick(timedelta(days=14).total_seconds())
    scene.sync()
    assert len(scene.rows()) == count + 2
    assert {r["Subject"] for r in scene.rows().values()} == {"Private"}
    hidden(scene)
