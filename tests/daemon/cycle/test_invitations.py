"""Meetings with attendees on a server that sends invitations by itself: it has nothing to send unless told that it may.

The server keeps each message that it would send."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.corpora.house import House, house

ALICE = 'addresses = ["alice@example.com"]'
MEETING = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk//EN
BEGIN:VEVENT
UID:{uid}@example.com
DTSTAMP:20261101T080000Z
DTSTART:20261202T090000Z
DTEND:20261202T100000Z
SUMMARY:Budget
ORGANIZER:mailto:{organiser}@example.com
ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.com
ATTENDEE;RSVP=TRUE:mailto:bob@example.com
{more}END:VEVENT
END:VCALENDAR
"""


def meeting(uid: str, organiser: str = "alice", more: str = "") -> bytes:
    return MEETING.format(uid=uid, organiser=organiser, more=more).replace("\n", "\r\n").encode()


Open = Callable[[str], House]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(account: str) -> House:
            made = stack.enter_context(house(tmp_path, account))
            server = made.servers["calendar"]
            server.schedules = True
            server.set("ours.ics", meeting("ours"))
            server.set("weekly.ics", meeting("weekly", more="RRULE:FREQ=WEEKLY;COUNT=3\n"))
            server.set("theirs.ics", meeting("theirs", "carol"))
            server.set("guest.ics", meeting("guest", "carol", "RRULE:FREQ=WEEKLY;COUNT=3\n"))
            assert made.sync()["errors"] == []
            return made

        yield opened


def sent(made: House) -> list[tuple[str, str]]:
    return made.servers["calendar"].sent


def everything(made: House) -> None:
    """What people can do in the CRM to a meeting, one after the other."""
    for name in ("ours.ics", "theirs.ics", "weekly.ics#20261202", "guest.ics#20261202"):
        assert made.edit(made.pairs()[name], {"Subject": "Changed"}) == ""
    made.sync()
    crm = made.crm.crm
    for name in ("ours.ics", "theirs.ics", "weekly.ics#20261209", "guest.ics#20261209"):
        crm.store.delete(crm.store.caller(made.crm.alice.id), [made.pairs()[name].crm_id])
    made.sync()


@pytest.mark.parametrize("account", [ALICE, ""])
def test_nobody_hears_of_anything(at: Open, account: str) -> None:
    made = at(account)
    before = dict(made.servers["calendar"].items)
    everything(made)
    assert sent(made) == []
    stored = made.servers["calendar"].items
    assert {n: stored[n] for n in ("ours.ics", "weekly.ics")} == {
        n: before[n] for n in ("ours.ics", "weekly.ics")
    }
    errors = {row["code"]: row["error"] for row in made.engine.queue()}
    assert errors.keys() == ({"would_notify", "not_ours"} if account else {"would_notify"})
    assert "invitations" in errors["would_notify"]


def test_what_somebody_else_has_called_is_left_as_it_is_and_can_be_left_in_silence(at: Open) -> None:
    made = at(ALICE)
    everything(made)
    server = made.servers["calendar"]
    assert "theirs.ics" not in server.items
    (delete,) = server.seen("DELETE")
    assert delete.headers["Schedule-Reply"] == "F"
    assert b"SUMMARY:Changed" not in server.items["guest.ics"][1]
    assert b"EXDATE" not in server.items["guest.ics"][1]  # that would be an answer
    assert sent(made) == []


def test_with_leave_they_are_told(at: Open) -> None:
    made = at(f"{ALICE}\ninvitations = true")
    everything(made)
    assert ("bob@example.com", "ours.ics") in sent(made)
    assert ("bob@example.com", "weekly.ics") in sent(made)
    assert "ours.ics" not in made.servers["calendar"].items


def test_a_client_that_sends_for_itself_is_in_nobodys_way(at: Open) -> None:
    made = at(ALICE)
    server = made.servers["calendar"]
    by_client = meeting("own").replace(b"ATTENDEE;RSVP=TRUE:", b"ATTENDEE;SCHEDULE-AGENT=CLIENT:")
    server.set("own.ics", by_client)
    made.sync()
    assert b"X-CRMSYNC-LINK" in server.items["own.ics"][1]
    assert b"X-CRMSYNC-LINK" not in server.items["ours.ics"][1]  # a stamp is worth no message
    assert sent(made) == []
