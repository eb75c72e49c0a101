"""Whom a server with scheduling would tell."""

import pytest

from crmsync.connectors.caldav.scheduling import announces, muted

OURS, THEIRS = "ORGANIZER:mailto:Alice@example.com", "ORGANIZER:mailto:carol@example.com"
ALICE, BOB = "ATTENDEE:mailto:alice@example.com", "ATTENDEE;CN=B:mailto:bob@example.com"
BY_CLIENT = "ATTENDEE;SCHEDULE-AGENT=CLIENT:mailto:bob@example.com"
OUT = "EXDATE:20261202T090000Z"
WE = frozenset({"alice@example.com"})


def text(*lines: str, mark: str = "1") -> str:
    inner = ("BEGIN:VEVENT", "UID:u", f"SUMMARY:{mark}", *lines, "END:VEVENT")
    return "".join(f"{each}\r\n" for each in ("BEGIN:VCALENDAR", *inner, "END:VCALENDAR"))


@pytest.mark.parametrize(
    ("before", "after", "who", "told"),
    [
        # our own meeting: made, changed, deleted
        ("", text(OURS, BOB), WE, True),
        (text(OURS, BOB), text(OURS, BOB, mark="2"), WE, True),
        (text(OURS, BOB), "", WE, True),
        (text(OURS, BOB), text(OURS, BOB), WE, False),
        # nobody else is in it, or our own client sends
        (text(OURS, ALICE), text(OURS, ALICE, mark="2"), WE, False),
        (text(OURS, BY_CLIENT), "", WE, False),
        (text("ATTENDEE:mailto:bob@example.com"), "", WE, False),
        (text(OURS), "", WE, False),
        # somebody is taken out of it
        (text(OURS, BOB), text(OURS), WE, True),
        # somebody else's: a change is our own business, to be out of one date is an answer
        (text(THEIRS, ALICE), text(THEIRS, ALICE, mark="2"), WE, False),
        (text(THEIRS, ALICE), text(THEIRS, ALICE, OUT), WE, True),
        (text(THEIRS, ALICE, OUT), text(THEIRS, ALICE, OUT, mark="2"), WE, False),
        (text(THEIRS, ALICE), "", WE, False),
        # whose it is cannot be told
        (text(THEIRS, ALICE), "", frozenset(), True),
        # nothing that can be read
        ("BEGIN:ATTENDEE", "", WE, False),
    ],
)
def test_who_is_told(before: str, after: str, who: frozenset[str], told: bool) -> None:
    assert announces(before, after, who) is told


@pytest.mark.parametrize(
    ("before", "after", "stored"),
    [
        # who is new comes from the CRM: the server has nothing to send them
        ("", text(BOB), text(BOB.replace(":", ";SCHEDULE-AGENT=CLIENT:", 1))),
        (text(OURS), text(OURS, BOB), text(OURS, BOB.replace(":", ";SCHEDULE-AGENT=CLIENT:", 1))),
        # who was there is left as they are, however they are written
        (text(OURS, BOB), text(OURS, BOB, mark="2"), text(OURS, BOB, mark="2")),
        (text("ATTENDEE:MAILTO:Bob@Example.com"), text(BOB), text(BOB)),
        # the person's client sends already
        ("", text(BY_CLIENT), text(BY_CLIENT)),
        ("", text("ATTENDEE;SCHEDULE-AGENT=NONE:mailto:b@example.com"), None),
        # another value of it is ours to change: the server would send
        ("", text(BY_CLIENT.replace("CLIENT", "SERVER")), text(BY_CLIENT)),
        # nobody is in it, or nothing can be read
        ("", text(OURS), None),
        ("", "BEGIN:ATTENDEE", None),
    ],
)  # fmt: skip
def test_who_is_new_is_not_told_by_the_server(before: str, after: str, stored: str | None) -> None:
    assert muted(before, after) == (after if stored is None else stored)
    assert not announces(before, muted(before, after), WE) or "mailto:bob" in before.lower()
