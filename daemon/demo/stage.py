"""The servers of the demo and the service, started in order and ended in the reverse one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3

from crmsync.daemon.calls import Failure
from crmsync.daemon.control import Client
from crmsync.daemon.crm_api.scheduler import ExchangeScheduler, Target
from crmsync.daemon.crm_api.server import CrmServer
from crmsync.daemon.demo import post, telephone
from crmsync.daemon.demo.child import Child, free_port
from crmsync.daemon.demo.clients import Crm, Dav, Mail, new_pool, poll
from crmsync.daemon.demo.place import (
    BOOK,
    CALENDAR,
    CLIENT_ID,
    DELEGATE,
    EXCHANGE,
    OWNER,
    PEOPLE,
    SYNC_USER,
    Place,
    crm_user,
    sqlite_url,
    write_private,
)
from crmsync.daemon.demo.sample import Person, seed
from crmsync.state.replica.org import Client as ApiClient
from crmsync.state.replica.org import Org
from crmsync.state.replica.org import Person as User

RELOAD = 60.0  # seconds for the service to read another configuration
CUSTOMER = "+493023125000"  # a number for dramas (Bundesnetzagentur), of a telephone of the demo's
ATTEMPTS = 3  # a free port may be taken before its server listens

_RADICALE = """[server]
hosts = 127.0.0.1:{port}
max_connections = 20

[auth]
type = htpasswd
htpasswd_filename = {users}
htpasswd_encryption = plain
delay = 0

[rights]
type = from_file
file = {rights}

[storage]
filesystem_folder = {folder}

[logging]
level = warning
"""

# Everybody has what is their own, and the delegate the owner's calendar.
_RIGHTS = f"""[root]
user: .+
collection:
permissions: R

[own]
user: .+
collection: {{user}}(/.*)?
permissions: RWrw

[delegate]
user: {DELEGATE}
collection: {OWNER}/{CALENDAR}(/.*)?
permissions: rw
"""


@dataclass(slots=True)
class Service:
    """``crmsync run`` in a process of its own."""

    place: Place
    child: Child

    def start(self) -> None:
        self.child.start(self._answers)

    def stop(self) -> None:
        self.child.stop()

    def call(self, method: str, **arguments: Any) -> Any:
        """Over its control socket. Raises Failure."""
        return Client(self.place.socket).call(method, arguments, lambda account, what, count: None)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """While nobody syncs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def told_by_the_crm(self) -> Iterator[None]:
        """While the CRM's scheduler says when is exchanged. Raises Failure."""
        self._under("crm")
        try:
            yield
        finally:
            self._under("self")

    def _under(self, authority: str) -> None:
        self.place.change_authority(authority)
        os.kill(self.child.pid, signal.SIGHUP)
        asked = authority == "crm"
        if not poll(
            lambda: all(("waits_for_crm" in a) is asked for a in self.call("status")["accounts"]), RELOAD
        ):
            raise Failure("reload", f"the service did not come to authority = “{authority}”")

    def sync_alone(self, account: str) -> None:
        """One account, by ``crmsync sync``, while the service is stopped. Raises Failure."""
        command = [sys.executable, "-m", "crmsync.daemon.cli", "--config", str(self.place.config)]
        done = subprocess.run(
            [*command, "sync", account], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise Failure("sync", f"crmsync sync {account}: {(done.stdout + done.stderr)[-300:].strip()}")

    def _answers(self) -> bool:
        try:
            about = Client(self.place.socket).about()
        except Failure:
            return False
        return about is not None and about.get("pid") == self.child.pid


@dataclass(frozen=True, slots=True)
class Stage:
    place: Place
    people: Mapping[str, Person]
    dav: Child
    crm: CrmServer
    service: Service
    phones: telephone.Telephones | None = None

    def check(self) -> None:
        """Raises Failure when a server has ended by itself."""
        self.dav.check()
        self.service.child.check()

    def ready(self) -> dict[str, Any]:
        """The ready file."""
        assert self.crm.https_url is not None
        return {
            "config": str(self.place.config),
            "accounts": [self._account(person) for person in self.people.values()],
            "crm": {
                "url": self.crm.url,
                "https_url": self.crm.https_url,
                "ca_file": str(self.crm.ca_file),
                "client_id": CLIENT_ID,
                "client_secret": self.place.secret("crm-client"),
                "username": SYNC_USER,
                "password": self.place.secret("crm-sync"),
            },
            "service": {"url": f"unix:{self.place.socket}", "login_link": self.login_link()},
        }

    def login_link(self) -> str:
        """To the status page, for an admin; opens once. Raises Failure."""
        return str(self.service.call("login_link", admin=True)["url"])

    def _account(self, person: Person) -> dict[str, str]:
        return {
            "name": person.name,
            "username": person.book.username,
            "password": person.book.password,
            "carddav_url": person.book.url,
            "caldav_url": person.calendar.url,
            "crm_username": person.crm.username,
            "crm_password": person.crm.password,
            **({"imap_url": f"imap://127.0.0.1:{person.post.port}"} if person.post else {}),
        }

    def write_ready(self, file: Path) -> None:
        try:
            write_private(file, json.dumps(self.ready(), indent=2) + "\n")
        except OSError as error:
            raise Failure("usage", f"--ready-file {file} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def started(place: Place, now: datetime) -> Iterator[Stage]:
    """Everything answers. Raises Failure when something does not."""
    with contextlib.ExitStack() as stack:
        dav, radicale = _start_radicale(place, stack)
        crm = stack.enter_context(_crm(place))
        mail = stack.enter_context(post.started(place))
        phones = stack.enter_context(telephone.started(CUSTOMER))
        pool = new_pool()
        stack.callback(pool.clear)
        people = {name: _person(name, place, dav, crm.url, pool, mail) for name in PEOPLE}
        seed(people, place.seeded, now)
        phone = phones.inside.control if phones else 0
        service, exchange = start_service(
            place, lambda page, door: place.write_config(dav, crm.url, mail, page, door, phone)
        )
        stack.callback(service.stop)
        target = Target(f"http://127.0.0.1:{exchange}", EXCHANGE, place.secret(EXCHANGE))
        scheduler = ExchangeScheduler(crm.crm, target)
        stack.callback(scheduler.stop)
        scheduler.start()
        yield Stage(place, people, radicale, crm, service, phones)


def start_service(place: Place, configure: Callable[[int, int], None]) -> tuple[Service, int]:
    """Itself, with its status page, and the port for the CRM's scheduler; both ports stay through the tour.
    ``configure``: with these two."""
    command = ["--config", str(place.config), "run"]
    for attempt in range(1, ATTEMPTS + 1):
        page, exchange = free_port(), free_port()
        configure(page, exchange)
        service = Service(
            place, Child("the service", "crmsync.daemon.cli", command, place.folder / "service.log")
        )
        try:
            service.start()
            service.call("login_link", admin=True)
            if not _answers(f"http://127.0.0.1:{exchange}/"):
                raise Failure(
                    "demo", f"the service does not answer on port {exchange}; see {service.child.log}"
                )
        except BaseException as error:
            service.stop()
            if attempt == ATTEMPTS or not isinstance(error, Failure):
                raise
            continue
        return service, exchange
    raise AssertionError("unreachable")


def _start_radicale(place: Place, stack: contextlib.ExitStack) -> tuple[str, Child]:
    """Its URL, with the slash, and itself."""
    folder = place.folder / "radicale"
    folder.mkdir(mode=0o700, exist_ok=True)
    users, rights, config = folder / "users", folder / "rights", folder / "config"
    write_private(rights, _RIGHTS)
    write_private(users, "".join(f"{name}:{place.secret(name)}\n" for name in PEOPLE))
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        write_private(
            config, _RADICALE.format(port=port, users=users, rights=rights, folder=folder / "collections")
        )
        url = f"http://127.0.0.1:{port}/"
        child = Child("Radicale", "radicale", ["--config", str(config)], folder / "log")
        try:
            child.start(lambda url=url: _answers(url))  # type: ignore[misc]
        except Failure:
            if attempt == ATTEMPTS:
                raise
            continue
        stack.callback(child.stop)
        return url, child
    raise AssertionError("unreachable")


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, redirect=False, timeout=1.0).status < 500
    except urllib3.exceptions.HTTPError:
        return False


def _crm(place: Place) -> CrmServer:
    users = [User(SYNC_USER, place.secret("crm-sync"), "Sync", "Crm", profile="Integration")]
    users += [User(crm_user(name), place.secret(f"crm-{name}"), "Demo", name.title()) for name in PEOPLE]
    client = ApiClient(CLIENT_ID, place.secret("crm-client"), run_as=SYNC_USER)
    folder = place.folder / "crm"
    folder.mkdir(mode=0o700, exist_ok=True)
    org = Org("crmsync demo", tuple(users), (client,))
    return CrmServer(org, sqlite_url(folder / "crm.db"), folder / "tls", https=True)


def _person(name: str, place: Place, dav: str, crm: str, pool: urllib3.PoolManager, mail: int) -> Person:
    password = place.secret(name)
    return Person(
        name,
        Dav(f"{dav}{name}/{BOOK}/", name, password, pool),
        Dav(f"{dav}{name}/{CALENDAR}/", name, password, pool),
        Crm(crm, CLIENT_ID, place.secret("crm-client"), crm_user(name), place.secret(f"crm-{name}"), pool),
        Mail(mail, crm_user(name), password) if mail else None,
    )
