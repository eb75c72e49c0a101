"""A house of calendars: the CalDAV connector and a server that stores exactly, and a CRM in memory that has fields for
the rules and the exceptions of whole series."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from pathlib import Path

from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.contract import Kind, Side, Source
from crmsync.connectors.dav.habits import Pace
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm
from crmsync.daemon.account import Mailbox
from tests.daemon.cycle.world import RULES, Clock
from tests.daemon.machine.house import empty_state
from tests.daemon.machine.http_house import BOOKS, HABITS, HttpHouse, tap
from tests.daemon.machine.http_sites import DavSite, Shelf
from tests.daemon.machine.premises import PEOPLE
from tests.daemon.machine.series_text import HELD, Series
from tests.daemon.machine.trouble import Fate, Wires
from tests.daemon.machine.wiretap import of_dav
from tests.servers.quirky import Reply, Request, served


@dataclass
class Calendars:
    """The server of a process, which stands while one house after the other is built on it."""

    dav: str = ""
    shelves: dict[str, Shelf] = field(default_factory=dict)  # by path
    clock: Clock = field(default_factory=Clock)

    def answer(self, request: Request) -> Reply:
        book, _, _ = request.path.rpartition("/")
        shelf = self.shelves.get(f"{book}/")
        reply = shelf.answer(request) if shelf is not None else Reply(404)
        return replace(reply, headers={**reply.headers, "Date": format_datetime(self.clock(), usegmt=True)})


@contextmanager
def calendars() -> Iterator[Calendars]:
    made = Calendars()
    with served(made.answer) as made.dav:
        yield made


class CalendarSite(DavSite):
    form = Series
    kind = Kind.APPOINTMENT
    held = HELD
    media = "text/calendar"
    suffix = ".ics"


class SeriesHouse(HttpHouse):
    kind = Kind.APPOINTMENT
    named = "subject"
    site_of = CalendarSite
    sort = "calendar"
    crm_idle_requests = 2

    def __init__(self, hosts: Calendars, folder: Path, quirks: Iterable[str] = ()) -> None:
        self.clock = hosts.clock
        self.clock.time = Clock().time
        self.fate = Fate()
        hosts.shelves.clear()
        self._hosts = hosts  # type: ignore[assignment]
        habits = {k: v for quirk in sorted(quirks) for k, v in HABITS.get(quirk, {}).items()}
        self.boxes = {name: self._site(name, habits) for name in BOOKS}
        self.crm = MemoryServer(now=self.clock, traits=crm(columns={Kind.APPOINTMENT: HELD}))
        self.crm.faults = Wires("crm", self.fate)
        self.people = self.crm.add("Event", Kind.APPOINTMENT).id
        self.book, self.second = (c.id for c in self.boxes["alice"].collections())
        self.alice, self.bob = (self.crm.add_user(f"{name}@example.com") for name in PEOPLE)
        self.prepare(folder, PEOPLE, {})
        here = {n: r for n, r in RULES[Kind.APPOINTMENT].items() if n in HELD}
        self.rules[Kind.APPOINTMENT] = here
        (folder / "state.db").write_bytes(empty_state())
        self.start()

    def crm_source(self) -> Source:
        return MemorySource(self.crm, Side.CRM)

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        made = []
        for shelf in self.boxes[server].shelves.values():
            if self.left_out(account, server, shelf.book):
                continue
            source = CalDavSource(shelf.url, "", "", now=self.clock, pause=lambda seconds: None)
            source._habits.pace = Pace(1, 1)
            tap(source._http, self.boxes[server].faults, of_dav)
            made.append(Mailbox("caldav", source, shelf.url))
        return made

    def idle_requests(self) -> int:
        return super().idle_requests() + len(self.seen) * (self.crm_idle_requests - 1)

    def close(self) -> None:
        self.engine.close()
        for site in self.boxes.values():
            site.close()
