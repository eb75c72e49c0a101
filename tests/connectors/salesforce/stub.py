"""A loopback HTTP server that records what it is asked and answers what the test says: the adapter runs unmodified."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from crmsync.connectors.contract import Kind
from crmsync.connectors.salesforce.auth import Auth, Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.reading import SalesforceConnector
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS, TABLES

ORG, USER = "00D000000000001EAA", "005000000000001AAA"
LOGIN = Password("app", "app-secret", "sync@example.com", "pass word", "TOKEN")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    target: str  # path and query as sent

    @property
    def soql(self) -> str:
        return self.query.get("q", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {k: v[0] for k, v in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True, slots=True)
class Reply:
    data: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    lost: bool = False  # hang up instead of answering


Script = Callable[[Request], Reply]


class Stub:
    """``script`` answers everything but logins, unless ``login`` is replaced too."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.login: Script = self.token
        self.requests: list[Request] = []  # without logins
        self.logins: list[Request] = []
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.url = ""

    def token(self, request: Request) -> Reply:
        identity = f"{self.url}/id/{ORG}/{USER}"
        number = len(self.logins)
        return Reply({"access_token": f"session-{number}", "instance_url": self.url, "id": identity})

    def answer(self, request: Request) -> Reply:
        if request.path == "/services/oauth2/token":
            self.logins.append(request)
            return self.login(request)
        self.requests.append(request)
        return self.script(request)


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    stub = Stub(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, query, dict(self.headers), body, self.path)
            reply = stub.answer(request)
            if reply.lost:
                self.close_connection = True
                return
            sent = reply.raw if reply.raw is not None else json.dumps(reply.data).encode()
            sent = b"" if reply.status == 204 else sent
            self.send_response_only(reply.status)
            headers = {"Date": format_datetime(stub.clock(), usegmt=True), "Content-Length": str(len(sent))}
            for name, value in {**headers, **reply.headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    stub.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def source(url: str, *, auth: Auth = LOGIN, **given: Any) -> Iterator[SalesforceSource]:
    made = SalesforceSource(url, auth=auth, **{"fields": DEFAULT_FIELDS, **given})
    try:
        yield made
    finally:
        made.close()


@contextmanager
def connector(url: str, kind: Kind = Kind.CONTACT, **given: Any) -> Iterator[SalesforceConnector]:
    with source(url, **given) as made:
        yield opened(made, kind)


def opened(made: SalesforceSource, kind: Kind) -> SalesforceConnector:
    return made.open(next(c for c in made.collections() if kind in c.kinds))


def found(*rows: Mapping[str, object], total: int | None = None, following: str = "") -> Reply:
    """The reply to a query."""
    data: dict[str, object] = {"totalSize": len(rows) if total is None else total, "records": list(rows)}
    return Reply({**data, "done": not following, **({"nextRecordsUrl": following} if following else {})})


def refused(code: str, status: int = 400, message: str = "no") -> Reply:
    return Reply([{"errorCode": code, "message": message}], status)


def contact(number: int, stamp: str, **fields: object) -> dict[str, object]:
    return {
        "attributes": {"type": "Contact"},
        "Id": f"003{number:012d}AAA",
        "SystemModstamp": stamp,
        "LastModifiedDate": stamp,
        "OwnerId": USER,
        "IsDeleted": False,
        "MasterRecordId": None,
        "LastName": f"Name {number}",
        **fields,
    }


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


_TYPES = {
    "StartDateTime": "datetime",
    "EndDateTime": "datetime",
    "MessageDate": "datetime",
    "Birthdate": "date",
    "ActivityDate": "date",
}
_FLAGS = ("IsAllDayEvent", "IsPrivate", "IsDeleted", "IsChild", "IsRecurrence", "IsRecurrence2", "Incoming")
_LENGTHS = {"LastName": 80, "FirstName": 40, "Email": 80, "Description": 32000, "Subject": 255}
_READ_ONLY = ("Id", "SystemModstamp", "LastModifiedDate", "IsDeleted", "MasterRecordId", "CompletedDateTime")
_TELLING = ("MasterRecordId", "IsChild", "IsRecurrence", "IsRecurrence2", "RecurrenceActivityId")


def described(
    kind: Kind = Kind.CONTACT, *, without: tuple[str, ...] = (), extra: tuple[str, ...] = ()
) -> Reply:
    """A describe reply with the fields of the default mapping."""
    names = ["Id", "SystemModstamp", "LastModifiedDate", "OwnerId", "IsDeleted", *_TELLING, *extra]
    names += [f for f in DEFAULT_FIELDS[kind].values() if "." not in f]
    fields: list[dict[str, object]] = [
        {
            "name": n,
            "type": "boolean"
            if n in _FLAGS
            else _TYPES.get(n, "textarea" if n == "Description" else "string"),
            "length": _LENGTHS.get(n, 0),
            "createable": n not in _READ_ONLY,
            "updateable": n not in _READ_ONLY,
            "filterable": n != "Description",
        }
        for n in names
        if n not in without
    ]
    for parent in ("Account", "RelatedTo"):
        reference = {"name": f"{parent}Id", "type": "reference", "relationshipName": parent, "length": 18}
        fields.append({**reference, "createable": True, "updateable": True})
    return Reply({"name": TABLES[kind], "fields": fields})


def relay(target: str, lose: Callable[[Request], bool]) -> Script:
    """Passes everything on to another server; the answers that ``lose`` picks never arrive."""
    pool = urllib3.PoolManager(retries=False)

    def pass_on(request: Request) -> Reply:
        headers = {k: v for k, v in request.headers.items() if k not in ("Content-Length", "Accept-Encoding")}
        answer = pool.request(
            request.method, target + request.target, body=request.body or None, headers=headers
        )
        if lose(request):
            return Reply(lost=True)
        kept = {k: v for k, v in answer.headers.items() if k in ("Sforce-Limit-Info", "Date", "Content-Type")}
        return Reply(status=answer.status, headers=kept, raw=answer.data)

    return pass_on
