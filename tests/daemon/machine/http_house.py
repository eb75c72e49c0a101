"""The house over real HTTP: the CardDAV connector and a DAV server, the Salesforce connector and the embedded CRM."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import Kind, Source
from crmsync.connectors.dav.habits import Pace
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS
from crmsync.daemon.account import Mailbox
from tests.daemon.cycle.world import Clock
from tests.daemon.machine.house import empty_state
from tests.daemon.machine.http_sites import EXPIRED, CrmSite, DavSite, Shelf
from tests.daemon.machine.premises import PEOPLE, SHARED, Premises
from tests.daemon.machine.trouble import Fate
from tests.daemon.machine.wiretap import Line, Operation, Tap, of_crm, of_dav
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.quirky import Reply, Request, served

BOOKS = {"alice": ("Contacts", "Private"), "bob": ("Team",), SHARED: ("Shared",)}
A_MOMENT = 1  # seconds that whatever a person does takes: servers tell versions by the second


@dataclass
class Hosts:
    """The servers of a process, which stand while one house after the other is built on them."""

    dav: str  # address of the DAV server
    crm: EmbeddedCrm
    shelves: dict[str, Shelf] = field(default_factory=dict)  # by path
    clock: Clock = field(default_factory=Clock)

    def now(self) -> Any:
        return self.clock()

    def clear(self, clock: Clock) -> None:
        self.shelves.clear()
        self.clock.time = clock.time
        store = self.crm.crm.store
        with store.database.write() as connection:
            connection.execute(store.database.tables["Contact"].delete())
            numbers = store.database.sequences
            # the same ids in each story: a story that is told again has to be the same one
            connection.execute(numbers.delete().where(numbers.c.name == "Contact"))


@contextmanager
def hosts() -> Iterator[Hosts]:
    made: dict[str, Hosts] = {}
    clock = Clock()

    def answer(request: Request) -> Reply:
        book, _, _ = request.path.rpartition("/")
        shelf = made["hosts"].shelves.get(f"{book}/")
        reply = shelf.answer(request) if shelf is not None else Reply(404)
        return replace(reply, headers={**reply.headers, "Date": format_datetime(clock(), usegmt=True)})

    with served(answer) as dav, embedded_crm(clock=clock) as crm:
        made["hosts"] = Hosts(dav, crm, clock=clock)
        yield made["hosts"]


HABITS: dict[str, dict[str, Any]] = {
    "no sync-collection": {"sync": False},
    "neither sync-collection nor CTag": {"sync": False, "ctag": False},
    "a lost token is not told": {"lost": None},
    "no ETag after a PUT": {"put_etag": False},
    "the time of a change is told aside": {"times": "aside"},
    "pages are tiny": {"page": 2},
}


class HttpHouse(Premises):
    site_of: type[DavSite] = DavSite
    sort = "addressbook"

    def __init__(self, hosts: Hosts, folder: Path, quirks: Iterable[str] = (), **account: Any) -> None:
        """``quirks``: of ``HABITS``, and ``no external id``."""
        self.clock = hosts.clock
        self.fate = Fate()
        hosts.clear(Clock())
        self._hosts = hosts
        self._external_id = "" if "no external id" in quirks else "Crmsync_Id__c"
        habits = {k: v for quirk in sorted(quirks) for k, v in HABITS.get(quirk, {}).items()}
        self.boxes = {name: self._site(name, habits) for name in BOOKS}
        self.crm = CrmSite(hosts.crm, self.fate, self._moment)
        self.people = "Contact"
        self.book, self.second = (c.id for c in self.boxes["alice"].collections())
        users = hosts.crm.users
        self.alice, self.bob = (users[f"{name}@example.com"].id for name in PEOPLE)
        self.stranger = hosts.crm.sync.id
        self.prepare(folder, PEOPLE, account)
        (folder / "state.db").write_bytes(empty_state())
        self.start()

    def _site(self, name: str, habits: dict[str, Any]) -> DavSite:
        shelves = []
        for title in BOOKS[name]:
            path = f"/dav/{name}/{title.lower()}/"
            shelf = Shelf(
                url=self._hosts.dav + path,
                book=path,
                name=title,
                sort=self.sort,
                **{"lost": EXPIRED, "times": "never", **habits},
            )
            shelves.append(shelf)
            self._hosts.shelves[path] = shelf
        return self.site_of(name, shelves, self.fate, self._moment)

    def _moment(self) -> None:
        self.clock.tick(A_MOMENT)

    def crm_source(self) -> Source:
        crm = self._hosts.crm
        source = SalesforceSource(
            crm.url,
            auth=Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password),
            fields={Kind.CONTACT: DEFAULT_FIELDS[Kind.CONTACT]},
            external_id=self._external_id,
            now=self.clock,
        )
        for http in source._client._https.values():
            tap(http, self.crm.faults, of_crm)
        return source

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        """One for each address book: then it need not be found."""
        made = []
        for shelf in self.boxes[server].shelves.values():
            if self.left_out(account, server, shelf.book):
                continue
            source = CardDavSource(shelf.url, "", "", now=self.clock, pause=lambda seconds: None)
            source._habits.pace = Pace(
                1, 1
            )  # one write at a time: what a run did must not hang on its threads
            tap(source._http, self.boxes[server].faults, of_dav)
            made.append(Mailbox("carddav", source, shelf.url))
        return made

    def idle_requests(self) -> int:
        """A look at each address book, and a question to it; one question to the CRM for each account."""
        cost = 0
        question = (
            1 if all(s.sync for s in self._hosts.shelves.values()) else 2
        )  # the CTag, perhaps a listing
        for name, servers in self.seen.items():
            known = [(server, c.id) for server in servers for c in self.boxes[server].collections()]
            cost += 1 + (1 + question) * sum(not self.left_out(name, s, c) for s, c in known)
        return cost

    def close(self) -> None:
        super().close()
        for site in self.servers.values():
            site.close()


def tap(http: Any, line: Line, operation: Operation) -> None:
    http._pool = Tap(http._pool, line, operation)
