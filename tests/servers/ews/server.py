"""An Exchange server for tests: enough of EWS for exchangelib as it is, over HTTP on this machine.

``ews()`` runs one. Tests look at and change what stands there through ``server.place``; ``server.fail`` makes the next
requests go wrong, and ``server.outbox`` holds whatever would have been sent to anybody.
"""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import spnego
from lxml import etree

from tests.servers.ews.directory import Directory
from tests.servers.ews.folders import Caller, Fault
from tests.servers.ews.operations import Operations
from tests.servers.ews.place import Mailbox, Place, Refusal
from tests.servers.ews.schema import Element, M, S, T, Violation, check, name, words
from tests.servers.ews.stream import Streams

_VERSIONS = frozenset(
    words("""
    Exchange2007 Exchange2007_SP1 Exchange2010 Exchange2010_SP1 Exchange2010_SP2 Exchange2013 Exchange2013_SP1
    Exchange2015 Exchange2015_SP1 Exchange2016
    """)
)
_NAMESPACES = {"s": S[1:-1], "m": M[1:-1], "t": T[1:-1]}


@dataclass(frozen=True)
class Request:
    """As it arrived."""

    operation: str
    user: str  # who logged in
    acting: str  # whose rights count
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class EwsServer:
    url: str = ""
    place: Place = field(default_factory=Place)
    requests: list[Request] = field(default_factory=list)
    before: Callable[[str, bytes], Reply | None] = lambda operation, body: None  # an answer instead
    after: Callable[[str, bytes], Reply | None] = lambda operation, body: None  # it is done, and this is said
    tokens: dict[str, str] = field(default_factory=dict)  # bearer token -> address it stands for
    clients: dict[str, str] = field(default_factory=dict)  # OAuth client -> secret
    impersonators: set[str] = field(default_factory=set)  # who may act as anybody
    lacks: set[str] = field(default_factory=set)  # operations that it does not know
    schemes: tuple[str, ...] = ("Basic",)
    ntlm: bool = False  # instead of all others; the passwords stand in the file that NTLM_USER_FILE names

    def __post_init__(self) -> None:
        self.operations = Operations(self.place)
        self.directory = Directory(self.place)
        self.streams = Streams(self.place, self.operations)

    @property
    def outbox(self) -> list[tuple[str, str, str]]:
        return self.operations.outbox

    def fail(self, operation: str, code: str, *, item: str = "", times: int = 1, **more: Any) -> None:
        """The next ``times`` response messages of this operation (about this item) are this error. ``more``: fields of
        ``Fault``."""
        self.operations.faults.append(Fault(operation, code, item, times, **more))

    def busy(self, operation: str, milliseconds: int, *, times: int = 1) -> None:
        """The next requests of this operation are answered with a fault that asks for a pause."""
        left = [times]
        former = self.before

        def before(asked: str, body: bytes) -> Reply | None:
            if asked == operation and left[0] > 0:
                left[0] -= 1
                return Reply(
                    500,
                    fault(
                        "ErrorServerBusy",
                        "The server cannot service this request right now.",
                        back_off=milliseconds,
                    ),
                )
            return former(asked, body)

        self.before = before

    def seen(self, operation: str) -> list[Request]:
        return [request for request in self.requests if request.operation == operation]

    def login(self, address: str) -> tuple[str, str]:
        return address, self.place.mailboxes[address].password

    # ── one request ──────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, authorization: str, body: bytes, *, user: str | None = "") -> Reply:
        user = user or self._user(authorization)
        if user is None:
            return Reply(401)
        try:
            envelope = etree.fromstring(body)
            request = envelope.find(S + "Body")[0]
        except (etree.XMLSyntaxError, TypeError, IndexError):
            return Reply(400)
        operation = name(request)
        if (instead := self.before(operation, body)) is not None:
            return instead
        with self.place.lock:
            reply = self._answered(envelope, request, user, body)
        return self.after(operation, body) or reply

    def _answered(self, envelope: Element, request: Element, user: str, body: bytes) -> Reply:
        operation = name(request)
        try:
            caller = self._caller(envelope, user)
            self.requests.append(Request(operation, user, caller.user, body))
            check(request)
            return Reply(200, response(operation, self._messages(operation, caller, request)))
        except Violation as violation:
            return Reply(
                500, fault("ErrorSchemaValidation", f"The request failed schema validation: {violation}")
            )
        except Refusal as refusal:
            return Reply(500, fault(refusal.code, refusal.text, back_off=refusal.back_off))

    def _messages(self, operation: str, caller: Caller, request: Element) -> list[Element]:
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        if operation in self.lacks:
            raise Refusal("ErrorInvalidRequest", f"{operation} is not offered.")
        for known in (self.operations, self.directory, self.streams):
            if (do := getattr(known, snake, None)) is not None:
                found: list[Element] = do(caller, request)
                return found
        raise Refusal("ErrorInvalidRequest", f"{operation} is not offered.")

    def _caller(self, envelope: Element, user: str) -> Caller:
        header = envelope.find(S + "Header")
        version = header.find(T + "RequestServerVersion") if header is not None else None
        if version is None or version.get("Version") not in _VERSIONS:
            raise Refusal("ErrorInvalidServerVersion", "The specified server version is invalid.")
        impersonated = header.find(f"{T}ExchangeImpersonation/{T}ConnectingSID")
        if impersonated is None:
            return Caller(user)
        address = (impersonated[0].text or "").lower()
        if user not in self.impersonators:
            raise Refusal(
                "ErrorImpersonateUserDenied", "The account does not have permission to impersonate."
            )
        if address not in self.place.mailboxes:
            raise Refusal("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        return Caller(address)

    def _user(self, authorization: str) -> str | None:
        scheme, _, credentials = authorization.partition(" ")
        if scheme == "Bearer":
            return self.tokens.get(credentials)
        if scheme != "Basic" or "Basic" not in self.schemes:
            return None
        user, _, password = base64.b64decode(credentials).decode().partition(":")
        mailbox = self.place.mailboxes.get(user.lower())
        return mailbox.address if mailbox is not None and mailbox.password == password else None

    def token(self, form: dict[str, list[str]]) -> Reply:
        """OAuth 2, client credentials: the token stands for the client's own address."""
        client, secret = (form.get(n, [""])[0] for n in ("client_id", "client_secret"))
        if not secret or self.clients.get(client) != secret:
            return Reply(401, b'{"error": "invalid_client"}', {"Content-Type": "application/json"})
        token = f"token-{self.place.tick()}"
        self.tokens[token] = client
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return Reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def answer_of(self, body: bytes) -> bytes:
        """What the server would say to a request of the last user, for tests that spoil it."""
        envelope = etree.fromstring(body)
        request = envelope.find(S + "Body")[0]
        with self.place.lock:
            return self._answered(envelope, request, next(iter(self.place.mailboxes)), body).body

    # ── setting the scene ────────────────────────────────────────────────────────────────────────────────────

    def add(self, address: str, password: str = "secret", name: str = "") -> Mailbox:
        return self.place.add_mailbox(address, password, name)


def envelope(inside: Element) -> bytes:
    root = etree.Element(S + "Envelope", nsmap=_NAMESPACES)
    header = etree.SubElement(root, S + "Header")
    etree.SubElement(
        header,
        T + "ServerVersionInfo",
        MajorVersion="15",
        MinorVersion="2",
        MajorBuildNumber="1118",
        MinorBuildNumber="7",
        Version="Exchange2016",
    )
    etree.SubElement(root, S + "Body").append(inside)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def response(operation: str, messages: list[Element]) -> bytes:
    root = etree.Element(f"{M}{operation}Response")
    if messages and name(messages[0]) == "DelegateUserResponseMessageType":
        root.set("ResponseClass", "Success")
        etree.SubElement(root, M + "ResponseCode").text = "NoError"
    etree.SubElement(root, M + "ResponseMessages").extend(messages)
    return envelope(root)


def fault(code: str, text: str, *, back_off: int = 0) -> bytes:
    root = etree.Element(S + "Fault")
    etree.SubElement(root, "faultcode").text = f"a:{code}"
    etree.SubElement(root, "faultstring").text = text
    detail = etree.SubElement(root, "detail")
    errors = "{http://schemas.microsoft.com/exchange/services/2006/errors}"
    etree.SubElement(detail, errors + "ResponseCode").text = code
    etree.SubElement(detail, errors + "Message").text = text
    if back_off:
        inner = etree.SubElement(detail, T + "MessageXml")
        etree.SubElement(inner, T + "Value", Name="BackOffMilliseconds").text = str(back_off)
    return envelope(root)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ews: EwsServer
    who = ""  # NTLM: whose connection this is
    _ntlm: Any = None

    def _shaken_hands(self) -> bool:
        """MS-NTHT: a connection is authenticated, and stays so."""
        if self.who:
            return True
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        challenge = ""
        if scheme == "NTLM":
            self._ntlm = self._ntlm or spnego.server(protocol="ntlm")
            try:
                challenge = base64.b64encode(self._ntlm.step(base64.b64decode(token)) or b"").decode()
            except spnego.exceptions.SpnegoError:
                self._ntlm = None
            if self._ntlm is not None and self._ntlm.complete:
                self.who = self._ntlm.client_principal.rpartition("\\")[2].lower()
                return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", f"NTLM {challenge}".strip())
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.ews.ntlm and not self._shaken_hands():
            return
        if self.path == "/oauth/token":
            self._send(self.ews.token(parse_qs(body.decode())))
            return
        reply = self.ews.answer(self.headers.get("Authorization") or "", body, user=self.who)
        if reply.status == 200 and b"GetStreamingEventsResponse" in reply.body:
            self._stream(reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if reply.status == 401 and not reply.body:
            for scheme in self.ews.schemes:
                self.send_header("WWW-Authenticate", f'{scheme} realm="ews"')
        headers = {"Content-Type": "text/xml; charset=utf-8", **reply.headers}
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _stream(self, reply: Reply) -> None:
        """Documents one after the other, as they come, until the subscription or the time is over."""
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for part in self.ews.streams.documents(reply.body, lambda m: response("GetStreamingEvents", [m])):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or does not trust us, is part of many tests."""


@contextmanager
def ews(*addresses: str, tls: ssl.SSLContext | None = None) -> Iterator[EwsServer]:
    """A server with a mailbox for each address (password: "secret")."""
    server = EwsServer()
    for address in addresses:
        server.add(address)
    http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"ews": server}))
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{http.server_port}/EWS/Exchange.asmx"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.streams.close()
        http.shutdown()
        http.server_close()
        thread.join(60)
