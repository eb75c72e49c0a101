"""A scene to measure in: an address-book server, a CRM, proxies where requests are counted, and the service."""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.cards import card
from tests.bench.house import Counts, Server, Worker, counted, started, working
from tests.bench.seed import TEMPLATE
from tests.servers.dav import DavServer
from tests.servers.radicale import radicale
from tests.servers.xandikos import xandikos

_CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"
[service]
listen = "off"
socket = "{folder}/control.sock"
[crm.main]
type = "salesforce"
url = "{crm}"
client_id = "bench"
client_secret = "bench"
username = "sync@example.com"
password = "bench"
external_id = "Crmsync_Id__c"
"""
_ACCOUNT = """
[account.{name}]
crm = "main"
crm_user = "{name}@example.com"
crm_select = "{select}"
[[account.{name}.source]]
type = "carddav"
url = "{url}"
{login}
"""
LOGIN_FORM = (
    "grant_type=password&client_id=bench&client_secret=bench&username=sync%40example.com&password=bench"
)


@dataclass(frozen=True)
class Run:
    """One sync: what the service says of it, and what the proxies saw."""

    told: Mapping[str, Any]
    dav: Counts = field(default_factory=Counts)
    crm: Counts = field(default_factory=Counts)

    @property
    def all(self) -> Counts:
        return self.dav + self.crm

    @property
    def rows(self) -> int:
        """Written in the state."""
        return sum(self.told["rows"].values())


@dataclass
class Scene:
    dav: Server
    crm: Server
    worker: Worker
    folder: Path
    proxies: tuple[Server, Server] | None = None
    accounts: int = 1
    now: float = 0.0  # seconds that all clocks are ahead

    def fill(self, start: int, end: int, *, edit: int = 0, account: str = "a0") -> None:
        self.dav.ask(f"/_bench/fill?book=/{account}/&from={start}&to={end}&edit={edit}")

    def edit_in_crm(self, start: int, end: int, edit: int) -> None:
        self.crm.ask(f"/_bench/edit?from={start}&to={end}&edit={edit}")

    def drop(self, start: int, end: int, *, account: str = "a0") -> None:
        self.dav.ask(f"/_bench/drop?book=/{account}/&from={start}&to={end}")

    def later(self, seconds: float = 3600) -> None:
        """Time goes by, everywhere."""
        self.now += seconds
        for server in (self.dav, self.crm):
            server.ask("/_bench/ahead", str(self.now))
        self.worker.ask("ahead", seconds=self.now)

    def run(self, command: str = "sync", **arguments: Any) -> Run:
        if self.proxies is None:
            return Run(self.worker.ask(command, **arguments))
        for proxy in self.proxies:
            counted(proxy)
        told = self.worker.ask(command, **arguments)
        return Run(told, *(counted(proxy) for proxy in self.proxies))

    def synced_long_ago(self, items: int) -> None:
        """So many contacts of each account on both sides, and the state that their first sync has left behind."""
        total = self.accounts * items
        for number in range(self.accounts):
            self.fill(number * items, (number + 1) * items, account=f"a{number}")
        self.fill(TEMPLATE, TEMPLATE + 1)
        for start, end in ((0, total), (TEMPLATE, TEMPLATE + 1)):
            self.crm.ask(f"/_bench/fill?from={start}&to={end}")
        self.later()
        seeded = self.worker.ask("seed")["items"]
        assert seeded == total, seeded
        self.worker.ask("forget")
        told = self.run().told
        assert told["writes"] == 0, told
        self.settle()
        self.fill(0, 1, edit=1)  # the first write describes the CRM's objects, once
        self.run()
        self.settle()

    def settle(self) -> None:
        """What has been synced is old news to everybody: the next sync is as one of any day."""
        self.later()
        self.run()
        self.turn()

    def turn(self) -> None:
        """The account's next turn has come."""
        self.later(60)

    def state_size(self) -> int:
        """Bytes of the database, with nothing left in the log beside it."""
        path = self.folder / "state.db"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.stat().st_size


def _written(folder: Path, crm: str, accounts: Mapping[str, tuple[str, str]], select: str) -> Path:
    """``accounts``: name -> url and login lines."""
    path = folder / "config.toml"
    text = _CONFIG.format(folder=folder, crm=crm)
    text += "".join(
        _ACCOUNT.format(name=name, url=url, login=login, select=select)
        for name, (url, login) in accounts.items()
    )
    path.write_text(text)
    path.chmod(0o600)
    return path


@contextmanager
def scene(
    *, accounts: int = 1, delay: float = 0.0, count: bool = False, select: str = "owned"
) -> Iterator[Scene]:
    """The bench's own servers. ``count`` puts proxies in between, which take time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crmsync-bench-")))
        dav, crm = stack.enter_context(started("dav_server")), stack.enter_context(started("crm_server"))
        proxies = None
        if count:
            one, two = (stack.enter_context(started("proxy", str(s.port))) for s in (dav, crm))
            proxies = (one, two)
        front, back = proxies or (dav, crm)
        login = 'username = "bench"\npassword = "bench"'
        books = {f"a{n}": (f"{front.url}/a{n}/", login) for n in range(accounts)}
        config = _written(folder, back.url, books, select)
        worker = stack.enter_context(working("service", str(config)))
        for server in (dav, crm):
            server.ask("/_bench/delay", str(delay))
        worker.ask("login")
        yield Scene(dav, crm, worker, folder, proxies, accounts)


@dataclass
class RealBook:
    """An address book on a real server, filled, with the service or the floor before it."""

    worker: Worker


@contextmanager
def real(kind: str, items: int, who: str) -> Iterator[RealBook]:
    """``kind``: radicale or xandikos; ``who``: service or floor, logged in."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crmsync-bench-")))
        server: DavServer = stack.enter_context(
            {"radicale": radicale, "xandikos": xandikos}[kind](folder / "dav")
        )
        crm = stack.enter_context(started("crm_server"))
        book = server.book_url("addressbook") if kind == "xandikos" else server.make_book("Contacts")
        user, password = server.login()
        if who == "floor":
            worker = stack.enter_context(working("floor"))
            asked = {"book": book, "user": user, "password": password, "crm": crm.url, "form": LOGIN_FORM}
            worker.ask("login", **asked, parallel=1 if kind == "xandikos" else 4)
        else:
            login = (
                f'username = "{user or "bench"}"\npassword = "{password or "bench"}"'  # Xandikos has no login
            )
            config = _written(folder, crm.url, {"a0": (book, login)}, "owned")
            worker = stack.enter_context(working("service", str(config)))
            worker.ask("login")
        for number in range(items):
            server.put(f"{book}{number}.vcf", card(number))
        yield RealBook(worker)
