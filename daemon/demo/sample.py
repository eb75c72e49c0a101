"""The sample people, events and tasks. All of them are made up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crmsync.daemon.demo import texts
from crmsync.daemon.demo.clients import Crm, Dav, Mail, quoted
from crmsync.daemon.demo.place import BOOK, CALENDAR

BOOK_XML = f"""<?xml version="1.0" encoding="utf-8"?>
<mkcol xmlns="DAV:" xmlns:R="urn:ietf:params:xml:ns:carddav"><set><prop>
<resourcetype><collection/><R:addressbook/></resourcetype><displayname>{BOOK}</displayname>
</prop></set></mkcol>"""
CALENDAR_XML = f"""<?xml version="1.0" encoding="utf-8"?>
<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop>
<resourcetype><collection/><C:calendar/></resourcetype><displayname>{CALENDAR}</displayname>
<C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VTODO"/></C:supported-calendar-component-set>
</prop></set></mkcol>"""

COMPANY = "Sample Trading Ltd"
ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:soon", "TRIGGER:-PT15M", "END:VALARM")

# first name, last name, number, tagged
ALICES = (
    ("Ben", "Sample", 101, True),
    ("Cleo", "Placeholder", 102, True),
    ("Dora", "Muster", 103, True),
    ("Emil", "Mustermann", 104, True),
    ("Fay", "Specimen", 105, True),
    ("Gus", "Dummy", 106, True),
    ("Hana", "Testfall", 107, True),
    ("Ivo", "Model", 108, True),
    ("Jana", "Fictitious", 109, True),
    ("Kai", "Prototype", 110, True),
    ("Lea", "Draft", 111, True),
    ("Max", "Blank", 112, True),
    ("Nora", "Private", 113, False),
    ("Otto", "Dentist", 114, False),
)
BOBS = (
    ("Pia", "Mockup", 201, True),
    ("Quinn", "Stub", 202, True),
    ("Rosa", "Neighbour", 203, False),
)
_MORE: Mapping[int, tuple[str, ...]] = {
    101: ("TITLE:Head of Samples", "X-FAVOURITE-TEA;X-STEEP=3:Assam", texts.photo(180, 90, 40)),
    102: ("TITLE:Buyer", "ADR;TYPE=WORK:;;1 Sample Way;Exampletown;;12345;Germany"),
    103: ("BDAY:1980-02-29", "NOTE:Met at the sample fair."),
    201: ("TITLE:Designer", texts.photo(40, 120, 90)),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who has an account in the demo: what they see on either side."""

    name: str
    book: Dav
    calendar: Dav
    crm: Crm
    post: Mail | None = None

    def seeing(self, other: Dav) -> Dav:
        """Somebody else's collection, with a login of their own."""
        return replace(other, username=self.calendar.username, password=self.calendar.password)


def file_name(first: str, suffix: str = "vcf") -> str:
    return f"sample-{first.lower()}.{suffix}"


def seed(people: Mapping[str, Person], marker: Path, now: datetime) -> None:
    """Once: ``marker`` exists when it is complete. Repeating what was interrupted makes nothing twice."""
    for person in people.values():
        person.book.make(BOOK_XML)
        person.calendar.make(CALENDAR_XML)
    if marker.exists():
        return
    _cards(people["alice"].book, ALICES)
    _cards(people["bob"].book, BOBS)
    monday = next_monday(now)
    _calendar(people["alice"].calendar, monday, "alice")
    _calendar(people["bob"].calendar, monday, "bob")
    _records(people["alice"].crm, "Olga", "Exemplar", "Agree on the samples", monday)
    _records(people["bob"].crm, "Paul", "Pattern", "Order sample boxes", monday)
    marker.touch()


def next_monday(now: datetime) -> datetime:
    """Nine o'clock, without a zone: local time wherever it is used."""
    day = (now + timedelta(days=7 - now.weekday())).date()
    return datetime(day.year, day.month, day.day, 9)  # noqa: DTZ001 - on purpose, see above


def phone(number: int) -> str:
    """From the range that Ofcom keeps free for fiction."""
    return f"+44 20 7946 0{number:03}"


def _cards(book: Dav, people: tuple[tuple[str, str, int, bool], ...]) -> None:
    for first, last, number, tagged in people:
        email = f"{first}.{last}@example.com".lower()
        uid = f"demo-{first.lower()}"
        more = _MORE.get(number, ())
        book.put(file_name(first), texts.card(uid, first, last, email, phone(number), *more, tagged=tagged))


def _calendar(calendar: Dav, monday: datetime, who: str) -> None:
    hour, half = timedelta(hours=1), timedelta(minutes=30)
    events = (
        ("kick-off", "Kick-off with Sample Trading", monday, hour, True, ("LOCATION:Room 1", *ALARM)),
        ("lunch", "Lunch with Cleo", monday + timedelta(days=1, hours=3), hour, True, ()),
        ("dentist", "Dentist", monday + timedelta(days=2), half, False, ()),
    )
    for key, subject, start, length, tagged, more in events:
        uid = f"demo-{who}-{key}"
        calendar.put(
            file_name(key, "ics"), texts.event(uid, f"{subject} ({who})", start, length, *more, tagged=tagged)
        )
    for key, subject, days in (("offer", "Write the offer", 3), ("call", "Call Dora back", 4)):
        due = monday + timedelta(days=days)
        calendar.put(
            file_name(key, "ics"), texts.task(f"demo-{who}-{key}", f"{subject} ({who})", due, tagged=True)
        )


def _records(crm: Crm, first: str, last: str, subject: str, monday: datetime) -> None:
    """What somebody made in the CRM: it comes into the owner's address book and task list by itself."""
    companies = crm.query(f"SELECT Id FROM Account WHERE Name = {quoted(COMPANY)}")
    company = companies[0]["Id"] if companies else crm.create("Account", {"Name": COMPANY})
    if not crm.query(f"SELECT Id FROM Contact WHERE LastName = {quoted(last)}"):
        email = f"{first}.{last}@example.com".lower()
        crm.create("Contact", {"FirstName": first, "LastName": last, "Email": email, "AccountId": company})
    if not crm.query(f"SELECT Id FROM Task WHERE Subject = {quoted(subject)}"):
        due = monday.replace(tzinfo=UTC).date().isoformat()
        crm.create("Task", {"Subject": subject, "ActivityDate": due})
