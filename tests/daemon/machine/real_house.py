"""The house over a DAV server that people really run: it stores cards its own way, and forgets cursors as it does."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.dav.habits import Pace
from crmsync.daemon.account import Mailbox
from tests.daemon.cycle.world import Clock
from tests.daemon.machine.http_house import BOOKS, Hosts, HttpHouse, tap
from tests.daemon.machine.http_sites import DavSite
from tests.daemon.machine.wiretap import of_dav
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import embedded_crm
from tests.servers.radicale import radicale

PASSWORD = "alice-secret"  # one login owns all address books: who sees what, the accounts say


@dataclass
class RealHosts(Hosts):
    """``dav`` is the address of a Radicale; each story has address books of its own on it."""

    folder: Path = field(default_factory=Path)  # of its collections
    server: DavServer | None = None
    number: Iterator[int] = field(default_factory=itertools.count)

    def clear(self, clock: Clock) -> None:
        shutil.rmtree(self.folder / "collection-root/alice", ignore_errors=True)
        super().clear(clock)


@dataclass
class Book(Mapping[str, tuple[str, bytes]]):
    """One address book. As a mapping: the names in it, with ETag and text."""

    url: str
    book: str
    name: str
    folder: Path
    pool: urllib3.PoolManager
    hides: set[str] = field(default_factory=set)  # nothing: every card is its owner's
    sync: bool = True

    @property
    def items(self) -> "Mapping[str, tuple[str, bytes]]":  # type: ignore[override]
        return self

    def __getitem__(self, name: str) -> tuple[str, bytes]:
        answer = self.pool.request("GET", self.url + name)
        if answer.status == 404:
            raise KeyError(name)
        return answer.headers["ETag"], answer.data

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def forget_cursors(self) -> None:
        for token in (self.folder / ".Radicale.cache/sync-token").glob("*"):
            token.unlink()


class RealSite(DavSite):
    def hide(self, item: str) -> None:
        """Nothing is hidden from the owner."""

    reveal = hide

    def expire_cursors(self) -> None:
        for shelf in self.shelves.values():
            shelf.forget_cursors()


class RealHouse(HttpHouse):
    _hosts: RealHosts

    def _site(self, name: str, habits: dict[str, Any]) -> RealSite:
        server = self._hosts.server
        assert server is not None
        pool = urllib3.PoolManager(
            retries=False, headers=urllib3.make_headers(basic_auth=f"alice:{PASSWORD}")
        )
        shelves = []
        for title in BOOKS[name]:
            story = f"{name}-{title.lower()}-{next(self._hosts.number)}"
            url = server.make_book(story)
            folder = self._hosts.folder / "collection-root/alice" / story
            shelf = Book(url, f"/alice/{story}/", title, folder, pool)
            shelves.append(shelf)
            self._hosts.shelves[shelf.book] = shelf  # type: ignore[assignment]
        return RealSite(name, shelves, self.fate, self._moment, pool)  # type: ignore[arg-type]

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        made = []
        for shelf in self.boxes[server].shelves.values():
            if not self.left_out(account, server, shelf.book):
                source = CardDavSource(
                    shelf.url, "alice", PASSWORD, now=self.clock, pause=lambda seconds: None
                )
                source._habits.pace = Pace(1, 1)
                tap(source._http, self.boxes[server].faults, of_dav)
                made.append(Mailbox("carddav", source, shelf.url))
        return made


@contextmanager
def real_hosts() -> Iterator[RealHosts]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as name, embedded_crm(clock=clock) as crm:
        folder = Path(name)
        with radicale(folder, users={"alice": PASSWORD}) as server:
            yield RealHosts(server.url, crm, clock=clock, folder=folder / "collections", server=server)
