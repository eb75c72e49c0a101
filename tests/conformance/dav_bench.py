"""A bench over a real DAV server: the person works with raw requests on resources."""

import re
from collections.abc import Callable, Iterator
from itertools import count

from crmsync.connectors.contract import Cursor, Kind
from crmsync.connectors.dav.source import DavSource
from tests.conformance.bench import Bench
from tests.servers.dav import DavServer

_serial = count(1)

_CARD = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Example//Phone 7//EN
UID:{uid}
item1.X-ABDATE;type=pref:2001-02-03
item1.X-ABLABEL:_$!<Other>!$_
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB
 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/2Q==
FN:{title}
N:{title};;;;
X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is
END:VCARD
"""
_EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk 7//EN
X-WR-SOMETHING:kept
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20260301T080000Z
DTSTART:20260302T090000Z
DTEND:20260302T100000Z
SUMMARY:{title}
X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is
ATTACH:https://example.com/plan.pdf
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Soon
TRIGGER:-PT15M
END:VALARM
END:VEVENT
END:VCALENDAR
"""
_TODO = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Desk 7//EN
BEGIN:VTODO
UID:{uid}
DTSTAMP:20260301T080000Z
SUMMARY:{title}
URL:https://example.com/ticket/7
X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Soon
TRIGGER;VALUE=DATE-TIME:20260302T090000Z
END:VALARM
END:VTODO
END:VCALENDAR
"""
_TEXTS = {Kind.CONTACT: _CARD, Kind.APPOINTMENT: _EVENT, Kind.TASK: _TODO}
_TITLES = {Kind.CONTACT: ("FN:", "N:"), Kind.APPOINTMENT: ("SUMMARY:",), Kind.TASK: ("SUMMARY:",)}
# Lines that a column stands behind, or that say who wrote the item last and when.
_MAPPED = re.compile(
    r"(FN|N|SUMMARY|PRODID|REV|DTSTAMP|LAST-MODIFIED|CREATED|SEQUENCE|CATEGORIES|X-CRMSYNC-\w+)[;:]", re.I
)


class DavPerson:
    def __init__(self, server: DavServer, url: str, kind: Kind) -> None:
        self.server, self.url, self.kind = server, url, kind
        self.suffix = ".vcf" if kind is Kind.CONTACT else ".ics"

    def add(self, title: str) -> str:
        name = f"person-{next(_serial)}"
        text = _TEXTS[self.kind].format(uid=f"uid-{name}", title=title)
        self.server.put(f"{self.url}{name}{self.suffix}", text.replace("\n", "\r\n"))
        return name + self.suffix

    def retitle(self, id: str, title: str) -> None:
        lines = self._lines(id)
        for prefix in _TITLES[self.kind]:
            (at,) = (n for n, line in enumerate(lines) if line.startswith(prefix))
            ending = ";;;;" if prefix == "N:" else ""
            lines[at] = f"{prefix}{title}{ending}"
        self.server.put(self.url + id, "".join(f"{line}\r\n" for line in lines))

    def delete(self, id: str) -> None:
        assert self.server.send("DELETE", self.url + id).status in (200, 204)

    def unmapped(self, id: str) -> object:
        return [line for line in self._lines(id) if not _MAPPED.match(line)]

    def _lines(self, id: str) -> list[str]:
        """Unfolded, in their order. Folding is not compared: servers that store parsed items fold anew."""
        answer = self.server.send("GET", self.url + id)
        assert answer.status == 200
        return re.sub("\r?\n[ \t]", "", answer.data.decode()).splitlines()


def dav_bench(server: DavServer, login: Callable[[str, str, str], DavSource], kind: Kind) -> Iterator[Bench]:
    """A bench on a new collection, through a source that is pointed at it; as a fixture: ``yield from`` it."""
    url = _new_collection(server, kind)
    source = login(url, *server.login())
    (collection,) = source.collections()
    person = DavPerson(server, url, kind)
    yield Bench(kind, source, collection, person, _forgotten, f"nobody{person.suffix}")
    source.close()


def _new_collection(server: DavServer, kind: Kind) -> str:
    name = f"c{next(_serial)}"
    if kind is Kind.CONTACT:
        return server.make_book(name)
    return server.make_calendar(name, kinds=("VEVENT",) if kind is Kind.APPOINTMENT else ("VTODO",))


def _forgotten(cursor: Cursor) -> Cursor:
    """The server's token is the end of the cursor, and ends in a hash on both servers."""
    assert re.search(r"[0-9a-f]{8}$", cursor)
    return cursor[:-8] + "".join("%x" % (15 - int(digit, 16)) for digit in cursor[-8:])
