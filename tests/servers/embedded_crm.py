"""Starts the embedded CRM for a test: on free loopback ports, in a temporary directory, with three users.

    with embedded_crm() as crm:
        requests.post(f"{crm.url}/services/oauth2/token", …)

or as a fixture:

    @pytest.fixture(scope="module")
    def crm() -> Iterator[EmbeddedCrm]:
        with embedded_crm() as running:
            yield running
"""

import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crmsync.daemon.crm_api.crm import DAILY_REQUESTS, Crm, system_clock
from crmsync.daemon.crm_api.server import CrmServer
from crmsync.state.replica.org import Client, Org, Person
from crmsync.state.replica.store import Clock

SYNC, ALICE, BOB = "sync@example.com", "alice@example.com", "bob@example.com"


@dataclass(frozen=True, slots=True)
class User:
    id: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class EmbeddedCrm:
    """A running CRM. `sync` sees every record, `alice` and `bob` are ordinary users.

    `crm` is the thing itself: `crm.usage.total` counts API requests, `crm.sessions.end_all()` logs everybody
    out, `crm.store` reads and writes records without HTTP.
    """

    url: str
    https_url: str
    ca_file: Path
    client_id: str
    client_secret: str
    users: Mapping[str, User]  # by username
    crm: Crm

    def backup(self) -> sqlite3.Connection:
        """Everything that it holds now."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self._file)) as database:
            database.backup(copy)
        return copy

    def restore(self, copy: sqlite3.Connection) -> None:
        """As if nothing had happened since; it goes on running."""
        with closing(sqlite3.connect(self._file)) as database:
            copy.backup(database)

    @property
    def _file(self) -> str:
        return str(self.crm.database.engine.url.database)

    @property
    def sync(self) -> User:
        return self.users[SYNC]

    @property
    def alice(self) -> User:
        return self.users[ALICE]

    @property
    def bob(self) -> User:
        return self.users[BOB]


@contextmanager
def embedded_crm(
    *,
    clock: Clock = system_clock,
    sharing: Mapping[str, str] | None = None,
    public_key: str | None = None,
    daily_requests: int = DAILY_REQUESTS,
    port: int = 0,
    directory: Path | None = None,
    credentials: tuple[str, str] | None = None,
) -> Iterator[EmbeddedCrm]:
    """Starts and ends one. With `directory` (and `port`) the same CRM can be started again after its end.

    `credentials` are the API client's, as they were before.
    `sharing` is {object: private | read | read_write}; `public_key` (PEM) admits the JWT bearer grant.
    """
    with tempfile.TemporaryDirectory(prefix="crm-") as temporary:
        place = directory or Path(temporary)
        people = (
            Person(SYNC, "sync-password", "Sync", "Crm", profile="Integration"),
            Person(ALICE, "alice-password", "Adams", "Alice"),
            Person(BOB, "bob-password", "Brown", "Bob"),
        )
        known = credentials or ("test-client", secrets.token_urlsafe(16))
        client = Client(*known, run_as=SYNC, public_key=public_key)
        org = Org("Example", people, (client,), sharing=sharing or {}, effort=2)
        server = CrmServer(
            org,
            f"sqlite:///{place / 'crm.db'}",
            place / "tls",
            port=port,
            https=True,
            clock=clock,
            durable=False,
            daily_requests=daily_requests,
        )
        with server:
            assert server.https_url is not None
            assert server.ca_file is not None
            users = {p.username: User(server.crm.users[p.username], p.username, p.password) for p in people}
            yield EmbeddedCrm(
                server.url, server.https_url, server.ca_file, client.id, client.secret, users, server.crm
            )
