"""The pages over real HTTP, with a service behind them that answers what the test says."""

import http.client
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from crmsync.config.logins import Logins
from crmsync.daemon.calls import Progress, checked, invoke
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.diary import Line
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.metrics import Tally
from crmsync.daemon.web.people import People
from crmsync.daemon.web.server import Place, WebServer
from crmsync.daemon.web.site import Traffic
from tests.daemon.fakes import Clock, standing

LISTS = ("conflicts", "deletions", "matches", "rejected", "decided")


@dataclass
class FakeDesk:
    """``answers``: method -> what it returns, or a function of its arguments, or an exception that it raises."""

    clock: Clock
    accounts: list[str] = field(default_factory=lambda: ["alice", "bob"])
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    token: str | None = None
    asks_the_crm: bool = False
    kept: list[Line] = field(default_factory=list)  # of the audit log

    def handle(self, name: str, arguments: object, progress: Progress) -> Any:
        _, fitting = checked(name, arguments)
        self.calls.append((name, fitting))
        answer = self.answers.get(name, {"replicas": []} if name == "replica_status" else [])
        if name == "status" and name not in self.answers:
            chosen = fitting.get("names") or self.accounts
            answer = {"accounts": [standing(account) for account in chosen]}
        if name == "undecided" and name not in self.answers:
            answer = self._undecided(fitting)
        if isinstance(answer, BaseException):
            raise answer
        return answer(progress=progress, **fitting) if callable(answer) else answer

    def _undecided(self, fitting: dict[str, Any]) -> dict[str, Any]:
        """Of the lists that it tells."""
        told = {name: self.answers.get(name, []) for name in LISTS}
        lists = {name: each(**fitting) if callable(each) else each for name, each in told.items()}
        counts = {name: 0 if isinstance(each, Exception) else len(each) for name, each in lists.items()}
        return {**counts, "mark": f"mark of {counts['deletions']}"}

    def names(self) -> list[str]:
        return self.accounts

    def by_itself(self) -> bool:
        return not self.asks_the_crm

    def due(self) -> Mapping[str, datetime]:
        return {name: self.clock() + timedelta(seconds=40) for name in self.accounts}

    def traffic(self) -> list[Traffic]:
        return [
            Traffic("crm.main", 17, 0.25, 3, date(2027, 3, 31)),
            Traffic("account.alice.source[0]", 4, 0.0),
        ]

    def who(self, name: str) -> Viewer | None:
        return People(["root@example.com"], {a: (a, f"{a}@example.com") for a in self.accounts}).viewer(name)

    def keep(self, lines: Sequence[Line]) -> None:
        self.kept += lines

    def metrics_token(self) -> str | None:
        return self.token

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def token(self) -> str:
        """Of its forms."""
        found = re.search(r'name="token" value="([^"]+)"', self.text)
        assert found is not None, self.text
        return found[1]


class Browser:
    """Sends what a browser sends, unless the test wants other headers; keeps the session's cookie."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.place = urlsplit(server.url).netloc
        self.cookie = ""

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.place, timeout=60)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, {"Sec-Fetch-Site": "none", **_named(headers)})

    def post(self, path: str, fields: Any = (), **headers: str) -> Answer:
        own = {"Origin": self.server.url, "Sec-Fetch-Site": "same-origin"}
        own["Content-Type"] = "application/x-www-form-urlencoded"
        return self.send("POST", path, urlencode(fields), {**own, **_named(headers)})

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """A header with an empty value is left out."""
        given = {"Cookie": self.cookie, **headers}
        with closing(self.connection()) as connection:
            connection.request(method, path, body, {k: v for k, v in given.items() if v})
            got = connection.getresponse()
            answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode())
        if cookie := answer.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        return answer

    def login(self, who: str | None = "alice") -> "Browser":
        """None: an admin."""
        token, _ = self.server.site.links.make(Viewer(who))
        assert self.post("/login", {"link": token}).status == 303
        return self


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


@dataclass
class Scene:
    clock: Clock
    desk: FakeDesk
    server: WebServer
    tally: Tally

    def browser(self) -> Browser:
        return Browser(self.server)


@dataclass
class EngineDesk(FakeDesk):
    """With a real engine."""

    engine: Any = None

    def handle(self, name: str, arguments: object, progress: Progress) -> Any:
        self.calls.append((name, checked(name, arguments)[1]))
        return invoke(self.engine, name, arguments, progress)


def scene(
    url: str | None = None, engine: Any = None, logins: Logins | None = None, phones: Any = None
) -> Iterator[Scene]:
    clock = Clock(datetime.now(UTC).replace(microsecond=0))
    desk = EngineDesk(clock, engine=engine) if engine is not None else FakeDesk(clock)
    tally = Tally()
    server = WebServer(Place("127.0.0.1", 0, url, logins), desk, Links(clock), tally, clock, phones)
    server.start()
    yield Scene(clock, desk, server, tally)
    server.stop()


def not_there(**arguments: Any) -> Any:
    raise NoSuchItem("nothing is known as that")


def until_slowed(ask: Callable[[], int], most: int) -> list[int]:
    """The statuses of one request after the other, to the first 429: how many that are depends on how long they take,
    for some more are free with time."""
    said: list[int] = []
    while len(said) < most and 429 not in said:
        said.append(ask())
    return said
