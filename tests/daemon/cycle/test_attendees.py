"""Who is asked to a meeting: over a server that stores exactly, into the embedded CRM, and back."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.house import House, house
from tests.servers.quirky import Reply, Request

MEETING = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk//EN
BEGIN:VEVENT
UID:{uid}@example.com
DTSTAMP:20261101T080000Z
DTSTART:20261202T090000Z
DTEND:20261202T100000Z
SUMMARY:Budget
{lines}END:VEVENT
END:VCALENDAR
"""
OURS = "ORGANIZER:mailto:alice@example.com"
THEIRS = "ORGANIZER;CN=Carol:mailto:carol@customer.example"
ADA = "ATTENDEE;CN=Ada;PARTSTAT=ACCEPTED;RSVP=TRUE:mailto:Ada@customer.example"
BEN = "ATTENDEE;CUTYPE=INDIVIDUAL:MAILTO:ben@customer.example"
ROOM = "ATTENDEE;CUTYPE=ROOM:mailto:room-1@example.com"
NAME = "budget.ics"


class Scene:
    def __init__(self, made: House) -> None:
        self.house, self.server = made, made.servers["calendar"]
        self.server.addresses = ("alice@example.com",)
        self.store = made.crm.crm.store
        self.caller = self.store.caller(made.crm.sync.id)
        self.ada = self.add("Contact", LastName="Lovelace", Email="ada@customer.example")

    def add(self, table: str, **fields: Any) -> str:
        (saved,) = self.store.create(self.caller, [(table, fields)])
        return str(saved.id)  # type: ignore[union-attr]

    def put(self, *lines: str, name: str = NAME) -> None:
        text = MEETING.format(uid=name, lines="".join(f"{each}\n" for each in lines))
        self.server.set(name, text.replace("\n", "\r\n"))

    def text(self, name: str = NAME) -> str:
        return self.server.items[name][1].decode()

    def sync(self) -> Mapping[str, Any]:
        report = self.house.sync()
        assert report["errors"] == []
        return report

    def settle(self) -> None:
        self.sync()
        assert self.sync()["writes"] == 0

    @property
    def event(self) -> str:
        return self.house.pairs()[NAME].crm_id

    def people(self) -> dict[str, str]:
        """Status by person."""
        query = f"SELECT RelationId, Status FROM EventRelation WHERE EventId = '{self.event}'"
        return {row["RelationId"]: row["Status"] for row in self.rows(query)}

    def rows(self, query: str) -> list[dict[str, Any]]:
        found = self.house.crm.crm.queries.query(self.caller, query, "")
        return list(json.loads(found.records))

    def attendees(self) -> list[str]:
        unfolded = re.sub(r"\r\n[ \t]", "", self.text())
        return re.findall(r"^ATTENDEE.*$", unfolded.replace("\r", ""), re.M)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path) as made:
        yield Scene(made)


# ── From the calendar into the CRM ───────────────────────────────────────────────────────────────────────────


def test_contacts_leads_and_users_are_invited_by_their_addresses(scene: Scene) -> None:
    lead = scene.add("Lead", LastName="Babbage", Company="Engines", Email="BEN@customer.example")
    bob = (
        "ATTENDEE;PARTSTAT=TENTATIVE:mailto:"
        + scene.store.read(scene.caller, "User", scene.house.crm.bob.id)["Email"]
    )
    scene.put(OURS, ADA, BEN, bob, ROOM)
    scene.settle()
    assert scene.people() == {scene.ada: "Accepted", lead: "New", scene.house.crm.bob.id: "Maybe"}


def test_an_answer_travels_to_the_crm(scene: Scene) -> None:
    scene.put(OURS, ADA, BEN)
    scene.settle()
    scene.put(OURS, ADA.replace("ACCEPTED", "DECLINED"), BEN)
    scene.settle()
    assert scene.people() == {scene.ada: "Declined"}


def test_who_is_taken_out_in_the_calendar_is_taken_out_in_the_crm(scene: Scene) -> None:
    scene.put(OURS, ADA, BEN)
    scene.settle()
    scene.put(OURS, BEN)
    scene.settle()
    assert scene.people() == {}


@pytest.mark.parametrize("table", ["Contact", "Lead"])
def test_who_is_unknown_is_invited_once_known(scene: Scene, table: str) -> None:
    scene.put(OURS, ADA, BEN)
    scene.settle()
    assert scene.people() == {scene.ada: "Accepted"}
    before = scene.text()
    more = {"Company": "Engines"} if table == "Lead" else {}
    ben = scene.add(table, LastName="Babbage", Email="Ben@Customer.example", **more)
    scene.settle()
    assert scene.people() == {scene.ada: "Accepted", ben: "New"}
    assert scene.text() == before


def test_nothing_is_read_anew_for_whom_nobody_waits(scene: Scene) -> None:
    for n in range(20):
        scene.put(OURS, BEN.replace("ben", f"ben{n}"), name=f"m{n}.ics")
    scene.settle()
    reports = len(scene.server.seen("REPORT"))
    scene.add("Contact", LastName="Someone", Email="else@customer.example")
    scene.add("Contact", LastName="Babbage", Email="ben7@customer.example")
    scene.sync()
    assert [r for r in scene.server.seen("REPORT")[reports:] if "multiget" in r.report]
    read = sum(r.body.count(".ics") for r in scene.server.seen("REPORT")[reports:] if "multiget" in r.report)
    assert read == 1


def test_an_event_without_anybody_gets_somebody(scene: Scene) -> None:
    scene.put()
    scene.settle()
    scene.put(OURS, ADA)
    scene.settle()
    assert scene.people() == {scene.ada: "Accepted"}


# ── From the CRM into the calendar ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("schedules", [False, True])
def test_who_is_added_in_the_crm_is_added_to_the_calendar_and_not_told(scene: Scene, schedules: bool) -> None:
    scene.server.schedules = schedules
    scene.put()
    scene.settle()
    scene.add("EventRelation", EventId=scene.event, RelationId=scene.ada)
    scene.settle()
    assert scene.attendees() == ["ATTENDEE;SCHEDULE-AGENT=CLIENT:mailto:ada@customer.example"]
    assert scene.server.sent == []


def test_where_others_would_be_told_of_an_addition_it_is_not_made(scene: Scene) -> None:
    scene.server.schedules = True
    scene.put(OURS, BEN)
    scene.settle()
    before = scene.text()
    scene.add("EventRelation", EventId=scene.event, RelationId=scene.ada)
    scene.house.sync()
    assert scene.text() == before
    assert scene.server.sent == []
    assert [row["code"] for row in scene.house.engine.queue()] == ["would_notify"]


def test_unknown_ones_stay_when_the_crm_changes_its_own(scene: Scene) -> None:
    scene.put(OURS, BEN, ROOM)
    scene.settle()
    scene.add("EventRelation", EventId=scene.event, RelationId=scene.ada)
    scene.settle()
    assert scene.attendees()[:2] == [BEN, ROOM]
    assert len(scene.attendees()) == 3
    assert scene.people() == {scene.ada: "New"}


def test_who_is_gone_from_the_crm_stays_in_the_calendar(scene: Scene) -> None:
    scene.put(OURS, ADA)
    scene.settle()
    before = scene.text()
    scene.store.delete(scene.caller, [scene.ada])
    scene.house.edit(scene.house.pairs()[NAME], {"Subject": "Budget 2"})
    scene.settle()
    assert scene.attendees() == [ADA]
    assert scene.text() != before


def test_an_address_that_changes_in_the_crm_changes_nobody_in_the_calendar(scene: Scene) -> None:
    scene.put(OURS, ADA)
    scene.settle()
    scene.store.update(scene.caller, [("Contact", scene.ada, {"Email": "ada@elsewhere.example"})])
    scene.house.edit(scene.house.pairs()[NAME], {"Subject": "Budget 2"})
    scene.settle()
    assert scene.attendees() == [ADA]
    assert scene.people() == {scene.ada: "Accepted"}


def test_an_answer_in_the_crm_stays_there(scene: Scene) -> None:
    scene.put(OURS, BEN, ADA)
    scene.settle()
    before = scene.text()
    (relation,) = scene.rows("SELECT Id FROM EventRelation")
    scene.store.update(scene.caller, [("EventRelation", relation["Id"], {"Status": "Declined"})])
    scene.settle()
    assert scene.text() == before
    scene.put(OURS, ADA)
    scene.settle()
    assert scene.people() == {scene.ada: "Declined"}


# ── Whose meeting it is ──────────────────────────────────────────────────────────────────────────────────────


def test_an_edit_of_somebody_elses_meeting_is_held_in_words(scene: Scene) -> None:
    scene.put(THEIRS, ADA)
    scene.settle()
    before = scene.text()
    scene.house.edit(scene.house.pairs()[NAME], {"Subject": "Ours", "ShowAs": "Free"})
    scene.house.sync()
    assert "SUMMARY:Budget" in scene.text()
    assert "TRANSP:TRANSPARENT" in scene.text()  # that is everyone's own
    (row,) = scene.house.engine.queue()
    assert row["code"] == "not_ours"
    assert "called by somebody else" in row["error"]
    assert before != scene.text()
    scene.put(THEIRS, ADA, "LOCATION:Room 1")
    scene.server.set(NAME, scene.text().replace("SUMMARY:Budget", "SUMMARY:Budget, moved"))
    scene.sync()
    assert scene.house.row(scene.house.pairs()[NAME])["Subject"] == "Budget, moved"
    assert scene.house.engine.queue() == []


def test_where_nobody_knows_our_addresses_every_meeting_may_be_ours(scene: Scene) -> None:
    scene.server.addresses = ()
    scene.put(THEIRS, ADA)
    scene.settle()
    scene.house.edit(scene.house.pairs()[NAME], {"Subject": "Ours"})
    scene.settle()
    assert "SUMMARY:Ours" in scene.text()


def test_the_server_knows_whose_meeting_it_is(scene: Scene) -> None:
    scene.server.schedules = True
    scene.put(THEIRS, ADA)
    scene.put(OURS, ADA, name="ours.ics")
    scene.settle()
    for name in (NAME, "ours.ics"):
        scene.store.delete(scene.caller, [scene.house.pairs()[name].crm_id])
    scene.house.sync()
    assert scene.server.items.keys() == {"ours.ics"}
    assert scene.server.sent == []


def test_while_it_cannot_be_told_whose_meeting_it_is_it_waits(scene: Scene) -> None:
    """Another one of the same calendar goes on."""

    def broken(request: Request) -> Reply | None:
        return Reply(503) if request.method == "PROPFIND" and request.path == "/dav/" else None

    scene.put(THEIRS, ADA)
    scene.put(name="plain.ics")
    scene.server.before = broken
    scene.house.sync()
    pairs = scene.house.pairs()
    for name, pair in pairs.items():
        assert scene.house.edit(pair, {"Subject": f"Edited {name}"}) == ""
    report = scene.house.sync()
    assert report["errors"] != []
    assert "SUMMARY:Budget" in scene.text()
    assert "SUMMARY:Edited plain.ics" in scene.text("plain.ics")
    scene.server.before = lambda request: None
    scene.house.clock.tick(3600)
    scene.house.sync()
    assert "SUMMARY:Budget" in scene.text()
    assert [row["code"] for row in scene.house.engine.queue()] == ["not_ours"]
