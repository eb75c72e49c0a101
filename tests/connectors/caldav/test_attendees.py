"""Who has called a meeting, and who is asked to it: properties into columns, and back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.caldav.mapping import patch, project, read
from crmsync.connectors.contract import Kind, Value
from tests.connectors.caldav.test_mapping import event

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def meeting(*lines: str) -> str:
    return event("DTSTART:20260701T100000Z", *lines)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ATTENDEE:mailto:Ada@Example.com", "ada@example.com"),
        ("ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:ada@example.com", "ada@example.com accepted"),
        ("ATTENDEE;PARTSTAT=declined:mailto:ada@example.com", "ada@example.com declined"),
        (
            'ATTENDEE;CN="Ada, Countess";PARTSTAT=TENTATIVE:mailto:ada@example.com',
            "ada@example.com tentative",
        ),
        # no answer yet, or one that the column has no word for
        ("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:ada@example.com", "ada@example.com"),
        ("ATTENDEE;PARTSTAT=DELEGATED:mailto:ada@example.com", "ada@example.com"),
        # the address stands elsewhere, or nowhere
        ("ATTENDEE;EMAIL=ada@example.com:/principals/ada/", "ada@example.com"),
        ("ATTENDEE:ada@example.com", "ada@example.com"),
        ("ATTENDEE:urn:uuid:1", None),
        ("ATTENDEE:invalid:nomail", None),
        ("ATTENDEE:", None),
        ("ATTENDEE:mailto:two@words@example.com", None),
        # nobody
        ("ATTENDEE;CUTYPE=ROOM:mailto:room@example.com", None),
        ("ATTENDEE;CUTYPE=RESOURCE:mailto:beamer@example.com", None),
    ],
)
def test_who_is_asked(line: str, told: str | None) -> None:
    text = meeting(line)
    assert read(text).columns["attendees"] == ((told,) if told else None)
    assert patch(text, {"attendees": read(text).columns["attendees"]}, now=NOW) == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ORGANIZER;CN=A:MAILTO:Alice@Example.com", "alice@example.com"),
        ("ORGANIZER;EMAIL=alice@example.com:/principals/alice/", "alice@example.com"),
        ("ORGANIZER:", None),
        ("X-NOBODY:", None),
    ],
)
def test_who_has_called_it(line: str, told: str | None) -> None:
    text = meeting(line)
    assert read(text).columns["organizer"] == told
    assert patch(text, {"organizer": "bob@example.com"}, now=NOW) == text


def test_an_organiser_without_an_address_is_no_opinion() -> None:
    assert "organizer" not in read(meeting("ORGANIZER:urn:uuid:1")).columns


LINES = (
    'ATTENDEE;CN="Ada";RSVP=TRUE;X-OTHER=1:mailto:Ada@example.com',
    "ATTENDEE;PARTSTAT=ACCEPTED;ROLE=OPT-PARTICIPANT:mailto:bob@example.com",
    "ATTENDEE;CUTYPE=ROOM:mailto:room@example.com",
    "ATTENDEE:urn:uuid:1",
)


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (("ada@example.com", "bob@example.com accepted"), LINES),
        (("ada@example.com",), (LINES[0], *LINES[2:])),
        (None, LINES[2:]),
        (
            ("ada@example.com", "bob@example.com accepted", "eve@example.com"),
            (*LINES, "ATTENDEE:mailto:eve@example.com"),
        ),
        (
            ("ada@example.com declined", "bob@example.com"),
            (
                LINES[0].replace(":mailto", ";PARTSTAT=DECLINED:mailto"),
                LINES[1].replace(";PARTSTAT=ACCEPTED", ""),
                *LINES[2:],
            ),
        ),
    ],
)
def test_only_what_differs_is_written(wanted: Value, lines: tuple[str, ...]) -> None:
    text = patch(meeting(*LINES), {"attendees": wanted}, now=NOW)
    unfolded = text.replace("\r\n ", "").split("\r\n")
    assert [each for each in unfolded if each.startswith("ATTENDEE")] == list(lines)
    assert read(text).columns["attendees"] == wanted


_words = st.text("abcdefghij", min_size=1, max_size=5)
_entry = st.builds("{}@{}.example{}".format, _words, _words, st.sampled_from(("", " accepted", " declined")))
_anything = st.lists(_entry | st.text(max_size=12), max_size=6).map(tuple)


@given(_anything, _anything)
def test_what_is_written_is_read_and_rubbish_is_nobody(before: Value, wanted: Value) -> None:
    text = patch(meeting(*LINES), {"attendees": before}, now=NOW)
    text = patch(text, {"attendees": wanted}, now=NOW)
    shown = project(Kind.APPOINTMENT, {"attendees": wanted})["attendees"]
    assert read(text).columns["attendees"] == shown
    assert LINES[2] in text
    assert LINES[3] in text
