"""The ways to people, against a mail server and a program on this machine."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from crmsync.config.load import parse
from crmsync.config.problems import ConfigError
from crmsync.daemon.alerts.bells import Bells, tried
from crmsync.daemon.alerts.letters import SHOWN, Unsent, Way, subject, text
from crmsync.daemon.alerts.plan import Letter
from crmsync.daemon.crm_api.tls import make_certificates
from crmsync.daemon.outgoing import asked
from tests.daemon.fakes import CONFIG

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LETTER = Letter(
    "abc", NOW.isoformat(), ("alice: a login is refused\r\nBcc: all@example.com",), ("bob: over",), ()
)
PASSWORD = "correct horse"


@dataclass
class MailServer:
    """Just enough of RFC 5321, with STARTTLS and AUTH, one session at a time."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    refuse: str = ""  # a command that is answered with 550
    got: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)  # the password, and whether it came over TLS
    port: int = 0

    @contextmanager
    def serving(self) -> Iterator["MailServer"]:
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.port = door.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(door,), daemon=True)
            thread.start()
            yield self
            door.shutdown(socket.SHUT_RDWR)
        thread.join(60)

    def _serve(self, door: socket.socket) -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            line.settimeout(10)
            with ExitStack() as stack, suppress(OSError):
                stack.enter_context(line)
                self._session(self._wrapped(line, stack) if self.implicit else line, stack)

    def _wrapped(self, line: socket.socket, stack: ExitStack) -> socket.socket:
        assert self.tls is not None
        return stack.enter_context(self.tls.wrap_socket(line, server_side=True))

    def _session(self, line: socket.socket, stack: ExitStack) -> None:
        reader = line.makefile("rb")

        def say(text: str) -> None:
            line.sendall(f"{text}\r\n".encode())

        say("220 hello")
        while command := reader.readline().decode().strip():
            verb = command.split()[0].upper()
            if verb == self.refuse:
                say("550 not from you")
            elif verb == "EHLO":
                say("250-here")
                say("250-AUTH PLAIN")
                say("250 STARTTLS" if self.tls and not isinstance(line, ssl.SSLSocket) else "250 SIZE 100000")
            elif verb == "STARTTLS" and self.tls:
                say("220 go on")
                line = self._wrapped(line, stack)
                reader = line.makefile("rb")
            elif verb == "AUTH":
                given = base64.b64decode(command.split()[2]).decode().split("\0")[2]
                self.logins.append((given, isinstance(line, ssl.SSLSocket)))
                say("235 welcome" if given == PASSWORD else "535 no")
            elif verb == "DATA":
                say("354 go on")
                body = b""
                while not (part := reader.readline()).startswith(b".\r\n"):
                    body += part
                self.got.append(message_from_bytes(body, policy=policy.default))  # type: ignore[arg-type]
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 well")


@dataclass
class Program:
    status: int = 204
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator["Program"]:
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                mine.got.append((self.command, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(mine.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            do_HEAD = do_POST

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}/hook"
            yield self
            server.shutdown()


def bells(lines: str, folder: Path) -> Bells:
    text = CONFIG.format(folder=folder) + lines
    config = parse(
        text.encode(), folder / "config.toml", {"MAIL": PASSWORD, "HOOK": "shared", "UMLAUT": "Schlüssel"}
    )
    return Bells.of(config.alerts, lambda: NOW)


def mail(
    server: MailServer, folder: Path, more: str = "", tls: str = "starttls", password: str = "MAIL"
) -> Way:
    lines = f"""
[alerts.mail]
host = "localhost"
port = {server.port}
tls = "{tls}"
sender = "crmsync@example.com"
to = ["it@example.com", "on-call@example.com"]
{more}
"""
    if tls != "off":
        lines += f'ca_file = "{folder}/ca.pem"\nusername = "crmsync"\npassword_env = "{password}"\n'
    return bells(lines, folder).ways["mail"]


@pytest.fixture
def trust(tmp_path: Path) -> ssl.SSLContext:
    """For localhost, of an authority that stands in ``ca.pem``."""
    made = make_certificates(tmp_path / "tls", datetime.now(UTC))
    (tmp_path / "ca.pem").write_bytes(made.ca_file.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate_file, made.key_file)
    return context


def test_a_password_that_mail_servers_are_not_told_is_a_sentence_without_it(
    tmp_path: Path, trust: ssl.SSLContext
):
    with MailServer(trust).serving() as server, pytest.raises(Unsent, match="of ASCII letters alone") as told:
        mail(server, tmp_path, password="UMLAUT").send(LETTER)
    assert "chl" not in str(told.value)
    assert told.value.__context__ is None or told.value.__suppress_context__


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_a_mail_goes_over_tls_with_a_login(tmp_path: Path, trust: ssl.SSLContext, way: str):
    with MailServer(trust, way == "implicit").serving() as server:
        mail(server, tmp_path, tls=way).send(LETTER)
    assert server.logins == [(PASSWORD, True)]
    (got,) = server.got
    assert got["To"] == "it@example.com, on-call@example.com"
    assert got["Bcc"] is None  # what servers say is text
    assert got["Message-ID"] == "<abc@crmsync.invalid>"
    assert got["Auto-Submitted"] == "auto-generated"
    content = got.get_content().replace("\r\n", "\n")
    assert "Needs somebody:\n- alice: a login is refused" in content
    assert "Is over:\n- bob: over" in content


def test_a_certificate_that_nobody_vouches_for_gets_no_password(tmp_path: Path, trust: ssl.SSLContext):
    other = make_certificates(tmp_path / "other", datetime.now(UTC))
    (tmp_path / "ca.pem").write_bytes(other.ca_file.read_bytes())
    with MailServer(trust).serving() as server, pytest.raises(Unsent, match="CERTIFICATE_VERIFY_FAILED"):
        mail(server, tmp_path).send(LETTER)
    assert server.logins == []


def test_a_server_without_tls_gets_no_password(tmp_path: Path, trust: ssl.SSLContext):
    with MailServer().serving() as server, pytest.raises(Unsent, match="STARTTLS"):
        mail(server, tmp_path).send(LETTER)
    assert server.logins == []


@pytest.mark.parametrize(
    ("refuse", "said"), [("MAIL", "localhost does not take the mail"), ("RCPT", "localhost port")]
)
def test_a_mail_that_is_refused(tmp_path: Path, refuse: str, said: str):
    with MailServer(refuse=refuse).serving() as server, pytest.raises(Unsent, match=said):
        mail(server, tmp_path, tls="off").send(LETTER)
    assert server.got == []


def test_a_wrong_password_stands_in_no_sentence(tmp_path: Path, trust: ssl.SSLContext):
    with MailServer(trust).serving() as server, pytest.raises(Unsent) as caught:
        mail(server, tmp_path, password="HOOK").send(LETTER)
    assert str(caught.value) == "localhost refuses the login (535)"


def hook(program: Program, folder: Path) -> Way:
    lines = f'[alerts.webhook]\nurl = "{program.url}"\nsecret_env = "HOOK"\n'
    return bells(lines, folder).ways["webhook"]


def test_a_program_gets_json_that_is_signed(tmp_path: Path):
    with Program().serving() as program:
        hook(program, tmp_path).send(LETTER)
    ((_, headers, body),) = program.got
    assert json.loads(body)["ended"] == ["bob: over"]
    stamp = headers["x-crmsync-time"]
    assert int(stamp) == int(NOW.timestamp())
    expected = hmac.new(b"shared", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-crmsync-signature"] == f"sha256={expected}"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_program_that_does_not_take_it(tmp_path: Path, status: int):
    with Program(status).serving() as program, pytest.raises(Unsent, match=str(status)):
        hook(program, tmp_path).send(LETTER)
    assert len(program.got) == 1


def test_what_is_said_of_a_program_does_not_hold_its_address(tmp_path: Path):
    """Whoever knows the whole of it may write to many a program."""
    with Program(404).serving() as program:
        program.url += "/T0-a-secret-token"
        with pytest.raises(Unsent, match="404") as refused:
            hook(program, tmp_path).send(LETTER)
        assert "T0" in program.url
    with pytest.raises(Unsent) as gone:
        hook(program, tmp_path).send(LETTER)
    assert all("secret" not in str(each.value) and "127.0.0.1" in str(each.value) for each in (refused, gone))


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_never_ends_is_left(begins: bytes):
    done = threading.Event()

    def dribble(door: socket.socket) -> None:
        line, _ = door.accept()
        with line, suppress(OSError):
            line.sendall(begins)
            while not done.wait(0.05):
                line.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=dribble, args=(door,), daemon=True)
        thread.start()
        with suppress(urllib3.exceptions.HTTPError):
            asked("GET", f"http://127.0.0.1:{door.getsockname()[1]}/", seconds=0.2, most=100_000)
        done.set()
        thread.join(60)


def test_check_says_whether_alerts_can_be_sent(tmp_path: Path):
    with Program().serving() as program, MailServer().serving() as server:
        lines = f"""
[alerts.mail]
host = "127.0.0.1"
port = {server.port}
tls = "off"
sender = "crmsync@example.com"
to = ["it@example.com"]
[alerts.webhook]
url = "{program.url}"
secret_env = "HOOK"
"""
        made = bells(lines, tmp_path)
        found = tried(made, NOW, write=False)
        assert [(line["name"], line["ok"]) for line in found] == [
            ("alerts: mail", True),
            ("alerts: webhook", True),
        ]
        assert (server.got, [method for method, _, _ in program.got]) == ([], ["HEAD"])
        assert "a test was sent" in tried(made, NOW, write=True)[0]["message"]
        assert len(server.got) == 1
    gone = tried(made, NOW, write=False)
    assert [line["ok"] for line in gone] == [False, False]
    assert gone[0]["hint"] == "see [alerts.mail] in the configuration"


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('host = "mail.example.com"\ntls = "off"\nsender = "a@b"\nto = ["c@d"]', "alerts.mail.tls"),
        ('host = "localhost"\nsender = "a@b"\nto = []', "alerts.mail.to"),
        ('host = "localhost"\nsender = "a@b"\nto = ["c@d"]\nusername = "x"', "alerts.mail.password"),
        ('host = "localhost"\nsender = "all of them"\nto = ["c@d"]', "alerts.mail.sender"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, lines: str, key: str):
    with pytest.raises(ConfigError) as caught:
        bells(f"[alerts.mail]\n{lines}\n", tmp_path)
    assert key in str(caught.value)


def test_long_letters_are_short():
    many = Letter("x", NOW.isoformat(), tuple(f"n{n}" for n in range(SHOWN + 5)), (), ())
    assert "- and 5 more" in text(many)
    assert subject(many) == f"[crmsync] n0 (and {SHOWN + 4} more)"
    assert subject(Letter("x", NOW.isoformat(), (), ("a",), ())) == "[crmsync] over: a"
    assert "\n" not in subject(LETTER)
