"""A small office: real groupware, the embedded CRM, a configuration, and the command line between them."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import requests

from tests.bars.cli import Cli
from tests.bars.people import Sample
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, User, embedded_crm
from tests.servers.proxy import Proxy, proxy
from tests.servers.radicale import radicale
from tests.servers.xandikos import xandikos

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own imports
    import caldav
    import simple_salesforce

FULL = os.environ.get("CRMSYNC_BARS") == "full"
"""The sizes of the issue, instead of ones that suit every test run."""

FIELDS: Mapping[str, tuple[str, ...]] = {
    "Contact": (
        *("Salutation", "FirstName", "MiddleName", "LastName", "Suffix", "Department", "Title", "Email"),
        *("Phone", "MobilePhone", "HomePhone", "Fax", "OtherPhone", "Birthdate", "Description"),
        *("MailingStreet", "MailingCity", "MailingState", "MailingPostalCode", "MailingCountry"),
        *("OtherStreet", "OtherCity", "OtherState", "OtherPostalCode", "OtherCountry"),
    ),
    "Event": (
        *("Subject", "Location", "Description", "StartDateTime", "EndDateTime", "IsAllDayEvent"),
        *("ShowAs", "IsPrivate"),
    ),
    "Task": ("Subject", "Description", "ActivityDate", "Status", "Priority"),
}
_ABOUT = ("Id", "OwnerId", "SystemModstamp", "Crmsync_Id__c")


@dataclass(frozen=True)
class Stored:
    etag: str
    text: str


@dataclass
class Office:
    directory: Path
    dav: DavServer
    crm: EmbeddedCrm
    dav_proxy: Proxy
    crm_proxy: Proxy
    book: str  # URL of alice's address book, at the server itself
    calendar: str
    cli: Cli
    _logins: dict[str, Any] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    # ── The ECS side, read back by others' clients ───────────────────────────────────────────────────────────

    def stored(self, collection: str, *, user: str = "alice") -> dict[str, Stored]:
        """What a collection holds: name -> ETag and text, by plain HTTP."""
        answer = self.dav.send("PROPFIND", collection, user=user, headers={"Depth": "1"})
        assert answer.status == 207, answer.status
        found = {}
        for response in ElementTree.fromstring(answer.data).iter("{DAV:}response"):
            name = (response.findtext("{DAV:}href") or "").rpartition("/")[2]
            if name:
                item = self.dav.send("GET", collection + name, user=user)
                assert item.status == 200, (name, item.status)
                found[name] = Stored(str(item.headers["ETag"]), item.data.decode())
        return found

    def text(self, url: str, *, user: str = "alice") -> str:
        answer = self.dav.send("GET", url, user=user)
        assert answer.status == 200, (url, answer.status)
        return answer.data.decode()

    def edit(self, url: str, *changes: tuple[str, str]) -> None:
        """Puts the item back with pieces of its text exchanged; each piece must be there."""
        text = self.text(url)
        for old, new in changes:
            assert old in text, (old, text)
            text = text.replace(old, new, 1)
        self.dav.put(url, text)

    def delete(self, url: str) -> None:
        answer = self.dav.send("DELETE", url)
        assert answer.status in (200, 204), answer.status

    def has(self, url: str) -> bool:
        return self.dav.send("GET", url).status == 200

    def calendar_objects(self) -> list[Any]:
        """Every object in the calendar, through the caldav library."""
        user, password = self.dav.login()
        with caldav.DAVClient(self.dav.url, username=user, password=password) as client:
            return list(client.calendar(url=self.calendar).search())

    def put(self, sample: Sample, *, user: str = "alice") -> str:
        """URL of the item, which goes into the user's book or calendar."""
        where = self.book if sample.name.endswith(".vcf") else self.calendar
        url = where.replace("/alice/", f"/{user}/") + sample.name
        self.dav.put(url, sample.text, user=user)
        return url

    # ── The CRM, through simple-salesforce over HTTPS ────────────────────────────────────────────────────────

    @property
    def sf(self) -> Any:
        """As the user who sees everything."""
        return self._login(self.crm.sync)

    @property
    def sf_alice(self) -> Any:
        return self._login(self.crm.alice)

    def _login(self, user: User) -> Any:
        if user.username not in self._logins:
            self._logins[user.username] = client(self.crm, user)
            self._open.callback(self._logins[user.username].session.close)
        return self._logins[user.username]

    def rows(self, table: str, where: str = "") -> list[dict[str, Any]]:
        wanted = ", ".join((*_ABOUT, *FIELDS[table]))
        found = self.sf.query_all(f"SELECT {wanted} FROM {table}{where and ' WHERE ' + where}")
        return [{k: v for k, v in row.items() if k != "attributes"} for row in found["records"]]

    def count(self, table: str) -> int:
        return int(self.sf.query(f"SELECT COUNT() FROM {table}")["totalSize"])

    def everything(self) -> dict[str, Any]:
        """All that stands on either side, with the versions: equal before and after means that nobody wrote."""
        seen: dict[str, Any] = {url: self.stored(url) for url in (self.book, self.calendar)}
        for table in FIELDS:
            seen[table] = sorted(self.rows(table), key=lambda row: str(row["Id"]))
        return seen

    # ── Both ─────────────────────────────────────────────────────────────────────────────────────────────────

    def sync(self, *arguments: str) -> Any:
        """``crmsync sync``, which must end well."""
        return self.cli.ok("sync", *arguments)

    def quiet(self) -> None:
        """A further sync has nothing to do, and does nothing, on either server."""
        self.dav_proxy.forget()
        self.crm_proxy.forget()
        answer = self.sync()
        assert answer["writes"] == 0, answer
        assert answer["errors"] == []
        assert (self.dav_proxy.writes(), self.crm_proxy.writes()) == ([], [])

    def requests(self) -> int:
        """How many requests reached the servers since the proxies last forgot."""
        return len(self.dav_proxy.seen) + len(self.crm_proxy.seen)


def client(crm: EmbeddedCrm, user: User) -> Any:
    """simple-salesforce, logged in as ``user``; its ``session`` is to be closed."""
    session = requests.Session()
    session.verify = str(crm.ca_file)
    session.trust_env = False
    form = {
        "grant_type": "password",
        "client_id": crm.client_id,
        "client_secret": crm.client_secret,
        "username": user.username,
        "password": user.password,
    }
    token = session.post(f"{crm.https_url}/services/oauth2/token", data=form, timeout=30).json()[
        "access_token"
    ]
    host = crm.https_url.removeprefix("https://").replace("127.0.0.1", "localhost")
    return simple_salesforce.Salesforce(session_id=token, instance=host, session=session)


CONFIG = """
[state]
url = "sqlite:///{directory}/state/state.db"

[service]
listen = "127.0.0.1:0"
socket = "{directory}/control.sock"

[crm.main]
type = "salesforce"
url = "{crm_url}"
client_id = "{crm.client_id}"
client_secret_file = "client-secret"
username = "{crm.sync.username}"
password_file = "crm-password"
external_id = "Crmsync_Id__c"
{accounts}"""
ACCOUNT = """
[account.{name}]
crm = "main"
crm_user = "{name}@example.com"
time_zone = "Europe/Berlin"
{more}
[[account.{name}.source]]
type = "carddav"
url = "{dav_url}"
username = "{user}"
password_file = "{name}-password"
{books}
[[account.{name}.source]]
type = "caldav"
url = "{dav_url}"
username = "{user}"
password_file = "{name}-password"
{calendars}
"""


def account(
    name: str, dav: DavServer, base: str, *, more: str = "", books: str = "", calendars: str = ""
) -> str:
    user = dav.login(name)[0] or name
    url = base + dav.principal.format(user=name)
    return ACCOUNT.format(name=name, user=user, dav_url=url, more=more, books=books, calendars=calendars)


def write_config(
    directory: Path, dav: DavServer, crm: EmbeddedCrm, crm_url: str, accounts: list[str]
) -> Path:
    passwords = {name: dav.login(name)[1] or "none" for name in ("alice", "bob")}
    return configured(directory, crm, "".join(accounts), passwords, crm_url)


def configured(
    directory: Path, crm: EmbeddedCrm, accounts: str, passwords: Mapping[str, str], crm_url: str = ""
) -> Path:
    """``passwords``: by person, each in a file ``NAME-password``."""
    secrets = {"client-secret": crm.client_secret, "crm-password": crm.sync.password}
    for name, secret in {**secrets, **{f"{n}-password": p for n, p in passwords.items()}}.items():
        (directory / name).write_text(secret)
        (directory / name).chmod(0o600)
    config = directory / "config.toml"
    config.write_text(
        CONFIG.format(directory=directory, crm=crm, crm_url=crm_url or crm.url, accounts=accounts)
    )
    return config


@contextmanager
def seated(
    directory: Path, crm: EmbeddedCrm, accounts: str, passwords: Mapping[str, str], user: User | None = None
) -> Iterator[tuple[Cli, Any]]:
    """The command line over a configuration of these accounts; and ``user`` at the CRM, else who sees all of it."""
    sf = client(crm, user or crm.sync)
    with sf.session:
        yield Cli(configured(directory, crm, accounts, passwords)), sf


@contextmanager
def office(
    directory: Path,
    *,
    more: str = "",
    server: str = "radicale",
    rights: str = "",
    people: tuple[str, ...] = ("alice",),
    bare: bool = False,
    sharing: Mapping[str, str] | None = None,
) -> Iterator[Office]:
    """Accounts of these people on empty servers. ``more``: further lines of each account. ``bare``: Radicale without
    their collections. ``sharing``: what a CRM user may do with others' records, by object."""
    directory.mkdir(parents=True, exist_ok=True)
    start = (
        radicale(directory / "dav", rights=rights) if server == "radicale" else xandikos(directory / "dav")
    )
    with ExitStack() as stack:
        dav = stack.enter_context(start)
        crm = stack.enter_context(embedded_crm(sharing=sharing))
        dav_proxy, crm_proxy = (stack.enter_context(proxy(each)) for each in (dav.url, crm.url))
        book, calendar = dav.book_url("addressbook"), dav.calendar_url("calendar")
        if server == "radicale":
            book, calendar = dav.book_url("Contacts"), dav.calendar_url("Calendar")
            for user in () if bare else people:
                dav.make_book("Contacts", user=user)
                dav.make_calendar("Calendar", user=user)
        accounts = [account(name, dav, dav_proxy.url, more=more) for name in people]
        config = write_config(directory, dav, crm, crm_proxy.url, accounts)
        made = Office(directory, dav, crm, dav_proxy, crm_proxy, book, calendar, Cli(config))
        with made._open:
            yield made
