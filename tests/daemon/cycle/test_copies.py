"""One meeting in the calendars of two people is one event of the CRM, and its organiser's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.state.model import Pair, PairState
from tests.corpora.house import House, house
from tests.daemon.cycle.test_attendees import MEETING
from tests.servers.quirky import Quirky, quirky

BOB = """
[account.bob]
crm = "main"
crm_user = "bob@example.com"
select = "all"

[[account.bob.source]]
type = "caldav"
url = "{url}"
username = "bob"
password_env = "PASSWORD"
"""
GUESTS = ("ATTENDEE:mailto:alice@example.com", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.com")


class Two:
    def __init__(self, made: House, bobs: Quirky) -> None:
        self.house, self.alices, self.bobs = made, made.servers["calendar"], bobs
        self.alices.addresses, self.bobs.addresses = ("alice@example.com",), ("bob@example.com",)

    def put(self, server: Quirky, organiser: str = "alice@example.com", **changed: str) -> None:
        lines = (f"ORGANIZER:mailto:{organiser}", *GUESTS)
        text = MEETING.format(uid="one", lines="".join(f"{each}\n" for each in lines))
        for old, new in changed.items():
            text = text.replace(old, new)
        server.set("alices.ics" if server is self.alices else "bobs.ics", text.replace("\n", "\r\n"))

    def sync(self, *names: str) -> None:
        self.house.clock.tick(600)
        assert self.house.engine.sync(list(names))["errors"] == []

    def pair(self, account: str) -> Pair:
        with self.house.engine.state.reading() as tx:
            (found,) = [p for p in tx.pairs.listing(account) if p.state is PairState.LINKED]
        return found

    def event(self) -> dict[str, Any]:
        """The only one."""
        assert self.pair("alice").crm_id == self.pair("bob").crm_id
        return dict(self.house.row(self.pair("alice")))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with (
        quirky("calendar") as bobs,
        house(tmp_path, BOB.format(url=bobs.url), {"Event": "read_write"}) as made,
    ):
        yield Two(made, bobs)


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")])
def test_a_meeting_of_two_is_one_event(two: Two, order: tuple[str, str]) -> None:
    two.put(two.alices)
    two.put(two.bobs)
    for name in order:
        two.sync(name)
    two.sync()
    assert two.event()["Subject"] == "Budget"


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")])
def test_an_attendees_copy_moves_nothing(two: Two, order: tuple[str, str]) -> None:
    two.put(two.alices)
    two.put(two.bobs)
    for name in order:
        two.sync(name)
    two.put(two.bobs, T09="T07", Budget="Mine")
    two.sync()
    two.sync()
    assert (two.event()["Subject"], two.event()["StartDateTime"].hour) == ("Budget", 9)


def test_a_copy_that_is_behind_takes_nothing_back(two: Two) -> None:
    two.put(two.alices)
    two.sync("alice")
    two.put(two.alices, T09="T08")
    two.sync("alice")
    two.put(two.bobs)
    two.sync()
    two.sync()
    assert two.event()["StartDateTime"].hour == 8


def test_the_organiser_moves_it_for_all(two: Two) -> None:
    two.put(two.alices)
    two.put(two.bobs)
    two.sync()
    before = two.bobs.items["bobs.ics"]
    two.put(two.alices, T09="T08")
    two.sync()
    two.sync()
    assert two.event()["StartDateTime"].hour == 8
    assert two.bobs.items["bobs.ics"] == before  # that is for the organiser's server to bring


def test_a_copy_does_not_make_again_what_its_organiser_has_deleted(two: Two) -> None:
    two.put(two.alices)
    two.put(two.bobs)
    two.sync()
    two.alices.remove("alices.ics")
    two.put(two.bobs, Budget="Mine")
    for _ in range(3):
        two.sync()
    store = two.house.crm.crm.store
    events = two.house.crm.crm.queries.query(store.caller(two.house.crm.sync.id), "SELECT Id FROM Event", "")
    assert events.total == 0
    assert "bobs.ics" in two.bobs.items


def test_of_two_guests_the_owner_of_the_record_speaks(two: Two) -> None:
    for server in (two.alices, two.bobs):
        two.put(server, "carol@customer.example")
    two.sync("alice")
    two.sync("bob")
    two.put(two.bobs, "carol@customer.example", T09="T07")
    two.sync()
    assert two.event()["StartDateTime"].hour == 9
    two.put(two.alices, "carol@customer.example", T09="T08")
    two.sync()
    assert two.event()["StartDateTime"].hour == 8
