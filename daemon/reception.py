"""The service's side of the status page: it opens and closes it, lets people in, and answers what the pages ask."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crmsync.config.model import Config
from crmsync.config.secret import SecretError
from crmsync.daemon.calls import Failure, Progress
from crmsync.daemon.telephony.phones import Phones
from crmsync.daemon.turns import Turns
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.diary import Line
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.metrics import Tally
from crmsync.daemon.web.people import People
from crmsync.daemon.web.server import Place, WebServer
from crmsync.daemon.web.site import Traffic
from crmsync.state.visits import Happening

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reception:
    """The ``Desk`` of the pages."""

    config: Config
    turns: Turns
    due: Callable[[], Mapping[str, datetime]]
    handle: Callable[[str, object, Progress], Any]
    now: Callable[[], datetime]
    phones: Phones
    tally: Tally = field(default_factory=Tally)
    links: Links = field(init=False)
    web: WebServer | None = None

    def __post_init__(self) -> None:
        self.links = Links(self.now)

    def open(self) -> None:
        """The status page. The sync goes on without it, should somebody else have its port."""
        place = Place.of(self.config)
        if place is None:
            return
        try:
            self.web = WebServer(place, self, self.links, self.tally, self.now, self.phones)
            self.web.start()
        except Failure as error:
            self.web = None
            log.error("there is no status page: %s", error.message, extra={"action": "web.failed"})
        else:
            log.info("the status page is on %s", self.web.url, extra={"action": "web.ready"})

    def close(self) -> None:
        if self.web is not None:
            self.web.stop(1.0)

    def telephones(self) -> dict[str, str | None]:
        """By name, why nothing is heard of it; None: all is well."""
        return self.phones.troubles()

    def softphone_pair(self, account: str) -> dict[str, Any]:
        """``{"account", "code", "expires"}``. Raises Failure."""
        return self.phones.make_code(account)

    def softphone_calls(self, account: str) -> dict[str, Any]:
        """``{"line": {"trouble", "can"}, "calls": [...]}``, as the page has it; calls that go on. Raises Failure."""
        standing = self.phones.standing(account)
        return {**standing, "calls": [call for call in standing["calls"] if call["phase"] != "ended"]}

    def softphone_paired(self, account: str) -> dict[str, Any]:
        return self.phones.paired(account)

    def softphone_revoke(self, account: str, id: str = "") -> dict[str, Any]:
        return self.phones.revoke(account, id)

    def login_link(self, account: str = "", *, admin: bool = False) -> dict[str, Any]:
        """``{"account", "admin", "url", "expires"}``: who opens the URL is logged in as that person, or as an admin.
        Raises Failure."""
        if admin == bool(account):
            raise Failure("usage", "a link is for one account, or for an admin")
        if self.web is None:
            raise Failure(
                "no_page",
                "the service has no status page: [service] listen is “off”, or its port was taken when the service "
                "started; its log says which",
            )
        with self.turns.looking() as engine:
            engine.chosen([account] if account else ())
        token, until = self.links.make(Viewer(None if admin else account))
        log.info("a login link for %s was made", account or "an admin", extra={"action": "web.link"})
        return {
            "account": account or None,
            "admin": admin,
            "url": f"{self.web.url}/login?link={token}",
            "expires": until.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }

    # ── What the pages ask ───────────────────────────────────────────────────────────────────────────────────

    def names(self) -> list[str]:
        with self.turns.looking() as engine:
            return list(engine.accounts)

    def by_itself(self) -> bool:
        return self.config.schedule.authority == "self"

    def traffic(self) -> list[Traffic]:
        with self.turns.looking() as engine:
            logins = {name: one for a in engine.accounts.values() for name, one in a.logins().items()}
            return [
                Traffic(
                    name, one.source.requests(), getattr(one.source, "usage", 0.0), one.throttled, one.expires
                )
                for name, one in logins.items()
            ]

    def who(self, name: str) -> Viewer | None:
        return People.of(self.config).viewer(name)

    def keep(self, lines: Sequence[Line]) -> None:
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            tx.visits.add([Happening(one.at, one.who, one.what, one.detail) for one in lines])

    def metrics_token(self) -> str | None:
        token = self.config.service.metrics_token
        try:
            return token.reveal() if token is not None else None
        except SecretError as error:
            raise Failure("config", f"[service] metrics_token: {error}") from error
