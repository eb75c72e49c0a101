"""Meetings on real servers: what is stored would tell nobody, and asking whose calendar it is does no harm."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.contract import Columns, Create, Done, Kind, Record, Refused, Update
from tests.conformance.sample import full
from tests.servers.dav import DavServer

GUESTS: Columns = {"attendees": ("ada@example.com accepted", "bob@example.com")}
OURS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk//EN
BEGIN:VEVENT
UID:ours
DTSTAMP:20260301T080000Z
DTSTART:20260302T090000Z
DTEND:20260302T100000Z
SUMMARY:Budget
ORGANIZER:mailto:alice@example.com
ATTENDEE;PARTSTAT=ACCEPTED;CN=Bob:mailto:bob@example.com
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture(params=["on_radicale", "on_xandikos"])
def at(request: pytest.FixtureRequest) -> Iterator[tuple[DavServer, str, CalDavSource]]:
    server: DavServer = request.getfixturevalue(request.param)
    url = server.make_calendar(f"people-{request.node.name[:24]}", kinds=("VEVENT",))
    with closing(CalDavSource(url, *server.login())) as source:
        yield server, url, source


def attendees(server: DavServer, url: str) -> list[str]:
    text = re.sub("\r?\n[ \t]", "", server.send("GET", url).data.decode())
    return sorted(line for line in text.splitlines() if line.startswith("ATTENDEE"))


def test_who_comes_from_the_crm_is_stored_as_not_to_be_told(at: tuple[DavServer, str, CalDavSource]) -> None:
    server, url, source = at
    items = source.open(source.collections()[0])
    columns = full(Kind.APPOINTMENT, frozenset({"subject", "start", "end", "all_day", "time_zone"}))
    (made,) = items.apply([Create("from-crm", Kind.APPOINTMENT, {**columns, **GUESTS})])
    assert isinstance(made, Done)
    stored = attendees(server, f"{url}{made.id}")
    assert len(stored) == 2
    assert all("SCHEDULE-AGENT=CLIENT" in line for line in stored)
    (record,) = items.fetch([made.id])
    assert isinstance(record, Record)
    assert record.columns["attendees"] == GUESTS["attendees"]


def test_who_was_there_stays_as_they_are(at: tuple[DavServer, str, CalDavSource]) -> None:
    server, url, source = at
    server.put(f"{url}ours.ics", OURS.replace("\n", "\r\n"))
    before = attendees(server, f"{url}ours.ics")
    items = source.open(source.collections()[0])
    (record,) = items.fetch(["ours.ics"])
    assert isinstance(record, Record)
    assert record.columns["organizer"] == "alice@example.com"
    more = (*(record.columns["attendees"] or ()), "eve@example.com")  # type: ignore[misc]
    (outcome,) = items.apply([Update(record.id, record.version, record.kind, {"attendees": more})])
    stored = attendees(server, f"{url}ours.ics")
    if "calendar-auto-schedule" in server.send("OPTIONS", url).headers.get("DAV", ""):
        assert isinstance(outcome, Refused)  # it would tell Bob
        assert (outcome.code, stored) == ("would_notify", before)
        return
    assert isinstance(outcome, Done)
    (new,) = set(stored) - set(before)
    assert "SCHEDULE-AGENT=CLIENT" in new
    assert "eve@example.com" in new


def test_it_is_asked_once_whose_calendar_it_is(at: tuple[DavServer, str, CalDavSource]) -> None:
    """Neither server knows an address of its users; what they say of them is not taken for one."""
    _, _, source = at
    (collection,) = source.collections()
    assert source.open(collection).addresses() == frozenset()
    before = source.requests()
    assert source.open(collection).addresses() == frozenset()
    assert source.requests() == before
