"""A person with a telephone: groupware, a CRM, two real telephones, and the service's pages, in one process."""

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crmsync.config.load import parse
from crmsync.connectors.telephony.contract import Answered, Cause, Direction, Ended, Offered
from crmsync.daemon.app import build
from crmsync.daemon.engine import Engine
from crmsync.daemon.telephony.phones import Phones
from crmsync.daemon.turns import Turns
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.metrics import Tally
from crmsync.daemon.web.server import Place, WebServer
from tests.daemon.fakes import Clock
from tests.daemon.web.site import EngineDesk
from tests.servers.baresip import Telephone, baresip
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.radicale import radicale

CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"

[service]
listen = "127.0.0.1:0"
socket = "{folder}/control.sock"

[softphone]
origins = ["{origin}"]

[telephony.desk]
type = "baresip"
port = {control}
domain = "127.0.0.1:{sip}"
region = "US"

[crm.main]
type = "salesforce"
url = "{crm}"
client_id = "{client}"
client_secret = "{secret}"
username = "{user}"
password = "{password}"
external_id = "Crmsync_Id__c"

[account.alice]
crm = "main"
crm_user = "alice@example.com"
telephone = "desk"
default_collection.task = "Calendar"

[[account.alice.source]]
type = "caldav"
url = "{dav}"
username = "alice"
password = "alice-secret"

[[account.alice.source]]
type = "carddav"
url = "{dav}"
username = "alice"
password = "alice-secret"
"""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class House:
    crm: EmbeddedCrm
    dav: DavServer
    calendar: str
    inside: Telephone
    outside: Telephone
    engine: Engine
    phones: Phones
    web: WebServer
    host: str  # URL of the CRM's page that embeds the softphone
    hostile: str  # of a page that may not
    woken: list[str] = field(default_factory=list)

    def sync(self, *names: str) -> None:
        answer = self.engine.sync(names)
        assert answer["errors"] == []

    def tasks(self) -> dict[str, str]:
        """By name, what the task list holds."""
        answer = self.dav.send("PROPFIND", self.calendar, headers={"Depth": "1"})
        names = re.findall(r"<href>[^<]*/([^/<]+)</href>", answer.data.decode())
        return {name: self.dav.send("GET", self.calendar + name).data.decode() for name in names}

    def make(self, table: str, **fields: Any) -> str:
        store = self.crm.crm.store
        (saved,) = store.create(store.caller(self.crm.alice.id), [(table, fields)])
        return str(saved.id)

    def nobody_has(self, *numbers: str) -> None:
        """Any more: whoever has one of them in the CRM gets another one."""
        store = self.crm.crm.store
        caller = store.caller(self.crm.alice.id)
        for table in ("Contact", "Lead"):
            for field_ in ("Phone", "MobilePhone"):
                named = ", ".join(f"'{n}'" for n in numbers)
                found = self.rows(f"SELECT Id FROM {table} WHERE {field_} IN ({named})")
                store.update(caller, [(table, row["Id"], {field_: "+1 212 555 0199"}) for row in found])

    def call(self, name: str, direction: Direction) -> None:
        """One that somebody talked in, and that is over."""
        id, number = f"of-{name.lower()}", "+12125550188"
        for event in (
            Offered(id, id, direction, number, now(), name),
            Answered(id, now()),
            Ended(id, Cause.NORMAL, now()),
        ):
            assert self.phones.board is not None
            self.phones.board.hear("desk", event)

    def rows(self, soql: str) -> list[dict[str, Any]]:
        source = self.engine.accounts["alice"].crm.source._source()  # type: ignore[attr-defined]
        return [dict(row) for row in source._client.rows(soql, "any")]


@contextmanager
def page(body: str) -> Iterator[str]:
    """A web server with one page; its origin, under a name that is nobody's else."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(server_body[0].encode() if self.path == "/" else b"")

        def log_message(self, *_: object) -> None:
            pass

    server_body = [body]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.body = server_body  # type: ignore[attr-defined]
        yield server  # type: ignore[misc]
        server.shutdown()


HOST = """<!doctype html><title>CRM</title><h1>A record</h1><div id="phone" style="height:40rem"></div>
<script>window.heard = []; addEventListener("DOMContentLoaded", () =>
  document.querySelector("#phone").addEventListener("softphone", (e) => heard.push(e.detail)))</script>
<script src="{url}/softphone/embed.js" data-into="#phone" defer></script>"""
HOSTILE = """<!doctype html><title>hostile</title><div id="phone"></div>
<script>window.heard = []; addEventListener("message", (e) => heard.push(e.data))</script>
<iframe src="{url}/softphone"></iframe>"""


@contextmanager
def house(folder: Path, phones: Callable[[Telephone, Telephone], None] | None = None) -> Iterator[House]:
    with ExitStack() as stack:
        outside = stack.enter_context(baresip("+14155550123", "ACME <img src=x onerror=alert(1)>"))
        inside = stack.enter_context(baresip("alice"))
        crm = stack.enter_context(embedded_crm())
        dav = stack.enter_context(radicale(folder / "dav"))
        calendar = dav.make_calendar()
        dav.make_book()
        good, bad = stack.enter_context(page("")), stack.enter_context(page(""))
        origin = f"http://crm.localhost:{good.server_port}"  # type: ignore[attr-defined]
        text = CONFIG.format(
            folder=folder, origin=origin, control=inside.control, sip=outside.sip, crm=crm.url, client=crm.client_id,
            secret=crm.client_secret, user=crm.sync.username, password=crm.sync.password, dav=dav.principal_url(),
        )  # fmt: skip
        config = parse(text.encode(), folder / "config.toml", {})
        engine = build(config, now=now)
        stack.callback(engine.close)
        woken: list[str] = []
        telephones = Phones(config, Turns(engine), now, woken.append)
        telephones.open()
        stack.callback(telephones.close)
        web = WebServer(
            Place("127.0.0.1", 0),
            EngineDesk(Clock(now()), engine=engine),
            Links(now),
            Tally(),
            now,
            telephones,
        )
        web.start()
        stack.callback(web.stop)
        good.body[0] = HOST.format(url=web.url)  # type: ignore[attr-defined]
        bad.body[0] = HOSTILE.format(url=web.url)  # type: ignore[attr-defined]
        hostile = f"http://hostile.localhost:{bad.server_port}/"  # type: ignore[attr-defined]
        yield House(
            crm, dav, calendar, inside, outside, engine, telephones, web, f"{origin}/", hostile, woken
        )
