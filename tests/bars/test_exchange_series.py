"""A series in an Exchange calendar, its dates in the CRM, and back: by ``crmsync sync``."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from tests.bars.test_exchange import Desk, desk
from tests.servers.ews.place import Item
from tests.servers.ews.schema import T
from tests.servers.ews.settling import stamp

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
_DAILY = "<DailyRecurrence><Interval>1</Interval></DailyRecurrence>"
_FIVE = (
    "<NumberedRecurrence><StartDate>{:%Y-%m-%d}</StartDate>"
    "<NumberOfOccurrences>5</NumberOfOccurrences></NumberedRecurrence>"
)


@dataclass
class Weekly:
    """Every day at nine for five days from tomorrow on, with an attendee, tagged."""

    desk: Desk
    id: str
    first: datetime

    @property
    def item(self) -> Item:
        return self.desk.person("calendar").folder.items[self.id]

    def master(self) -> object:
        return {n: etree.tostring(e) for n, e in self.item.fields.items()}

    def day(self, number: int) -> datetime:
        return self.first + timedelta(days=number)

    def rows(self) -> dict[str, tuple[str, str]]:
        """Subject and place of each event in the CRM, by its start."""
        return {
            row["StartDateTime"][:16]: (row["Id"], row["Location"] or "") for row in self.desk.rows("Event")
        }

    def row(self, number: int) -> str:
        return self.rows()[f"{self.day(number):%Y-%m-%dT%H:%M}"][0]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Weekly]:
    with desk(tmp_path) as at:
        calendar = at.person("calendar")
        first = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
        id = calendar.add("Jour fixe")
        calendar.set(id, Start=stamp(first), End=stamp(first + timedelta(hours=1)), Location="Room 1")
        zone = etree.Element(T + "StartTimeZone", Id="UTC")
        people = etree.Element(T + "RequiredAttendees")
        mailbox = etree.SubElement(etree.SubElement(people, T + "Attendee"), T + "Mailbox")
        etree.SubElement(mailbox, T + "EmailAddress").text = "ada@example.com"
        calendar.folder.items[id].fields |= {"StartTimeZone": zone, "RequiredAttendees": people}
        calendar.tag(id, "CRM")
        calendar.repeat(id, _DAILY, _FIVE.format(first))
        yield Weekly(at, id, first)


def test_each_date_is_an_event_and_edits_find_their_way(made: Weekly) -> None:
    before = made.master()
    made.desk.sync()
    assert list(made.rows()) == [f"{made.day(n):%Y-%m-%dT%H:%M}" for n in range(5)]
    assert made.master() == before
    made.desk.quiet()

    made.desk.sf.Event.update(made.row(1), {"Location": "Room 9"})
    made.desk.sf.Event.delete(made.row(3))
    made.desk.person("calendar").occurrence(
        made.id,
        f"{made.day(2):%Y-%m-%d}",
        Start=stamp(made.day(2) + timedelta(hours=4)),
        End=stamp(made.day(2) + timedelta(hours=5)),
    )
    made.desk.sync()
    assert {d: i.text("Location") for d, i in made.item.exceptions.items()} == {
        made.day(1).date(): "Room 9",
        made.day(2).date(): "Room 1",
    }
    assert made.item.removed == {made.day(3).date()}
    assert made.master() == before
    moved = made.day(2) + timedelta(hours=4)
    assert sorted(made.rows()) == [
        f"{at:%Y-%m-%dT%H:%M}" for at in (made.day(0), made.day(1), moved, made.day(4))
    ]
    made.desk.quiet()


def test_a_series_that_is_deleted_goes_as_a_whole(made: Weekly) -> None:
    made.desk.sync()
    made.desk.person("calendar").delete(made.id)
    made.desk.sync()
    assert made.rows() == {}
    made.desk.quiet()
