"""Calendar proxies: Bob's server says whose proxy he is, and his account finds their calendars there.

No server that says so can be installed for a test (Radicale and Xandikos do not). So something stands before a real
Radicale, whose rights are the same, and answers for two properties, as Apple's "Calendar User Proxy Functionality in
CalDAV" has them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.state.model import PairState
from tests.bars.delegates import ACCOUNT, EVENT, RIGHTS, SHARE, TAG, USERS, Place, place, source
from tests.servers.dav import DavServer
from tests.servers.proxy import Asked, Reply, Server, Trouble, proxy
from tests.servers.radicale import radicale

pytestmark = [pytest.mark.bar, pytest.mark.timeout(120)]
_ANSWER = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"><D:response><D:href>/bob/</D:href><D:propstat>
<D:prop><CS:calendar-proxy-read-for>{read}</CS:calendar-proxy-read-for>
<CS:calendar-proxy-write-for>{write}</CS:calendar-proxy-write-for></D:prop><D:status>HTTP/1.1 200 OK</D:status>
</D:propstat></D:response></D:multistatus>"""


@dataclass
class Says:
    """Whose proxy Bob is."""

    read: list[str] = field(default_factory=list)
    write: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Trouble | None:
        return self._answer if b"calendar-proxy-" in asked.body else None

    def _answer(self, asked: Asked, server: Server) -> Reply:
        assert (asked.method, asked.path, asked.headers["Depth"]) == ("PROPFIND", "/bob/", "0")
        read, write = (
            "".join(f"<D:href>/{name}/</D:href>" for name in names) for names in (self.read, self.write)
        )
        return Reply(
            207, (("Content-Type", "application/xml"),), _ANSWER.format(read=read, write=write).encode()
        )


@dataclass
class Office:
    made: Place
    dav: DavServer
    says: Says

    def tag(self, user: str = "bob") -> None:
        url = self.dav.calendar_url("Calendar") + "one.ics"
        self.dav.put(url, EVENT.format(uid="one", tag=TAG), user=user)

    def offered(self) -> dict[str, tuple[str, bool]]:
        (mailbox,) = self.made.engine.accounts["bob"].mailboxes
        return {c.id: (c.owner, c.writable) for c in mailbox.source.collections()}


@contextmanager
def office(directory: Path, more: str = "proxies = true", *, hers: bool = True) -> Iterator[Office]:
    says = Says()
    with (
        radicale(directory / "dav", users=USERS, rights=RIGHTS + SHARE) as dav,
        proxy(dav.url) as line,
    ):
        line.trouble = says
        dav.make_calendar("Calendar")
        dav.make_calendar("Calendar", user="bob")
        text = ACCOUNT.format(name="bob") + source("bob", "caldav", line.url, "bob", more)
        if hers:
            text += ACCOUNT.format(name="alice") + source("alice", "caldav", f"{dav.url}alice/", "alice")
        with place(directory, text, USERS) as made:
            yield Office(made, dav, says)


@pytest.mark.parametrize("right", ["read", "write"])
def test_the_calendars_of_whom_one_is_a_proxy(tmp_path: Path, right: str) -> None:
    with office(tmp_path) as desk:
        assert desk.offered() == {"/bob/Calendar/": ("", True)}
        getattr(desk.says, right).append("alice")
        assert desk.offered() == {
            "/bob/Calendar/": ("", True),
            "/alice/Calendar/": ("alice", right == "write"),
        }


def test_they_are_found_only_where_that_is_wanted(tmp_path: Path) -> None:
    with office(tmp_path, more="") as desk:
        desk.says.write.append("alice")
        assert set(desk.offered()) == {"/bob/Calendar/"}


def test_a_name_that_both_have_means_ones_own(tmp_path: Path) -> None:
    with office(tmp_path, 'proxies = true\ncollections = ["Calendar"]') as desk:
        desk.says.write.append("alice")
        desk.tag()
        desk.made.sync("bob")
        assert desk.made.engine.queue() == []


def test_a_proxy_who_is_let_in_nowhere_has_what_is_theirs(tmp_path: Path) -> None:
    """Somebody who was deleted, or whose home is closed."""
    with office(tmp_path) as desk:
        desk.says.write += ["service", "nobody"]
        assert set(desk.offered()) == {"/bob/Calendar/"}
        desk.made.sync()


def test_what_a_proxy_tags_is_the_owners(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.says.write.append("alice")
        desk.tag()
        desk.made.sync("bob")
        assert desk.made.ids("Event") == []
        desk.made.sync()
        assert desk.made.owners("Event") == ["alice@example.com"]
        ((account, reason),) = desk.made.births("Event")
        assert (account, "first seen through account bob, a delegate" in reason) == ("alice", True)
        desk.made.quiet()


def test_a_proxy_who_is_none_any_more_deletes_nothing(tmp_path: Path) -> None:
    """Alice has no account, so that Bob's holds the link."""
    with office(tmp_path, hers=False) as desk:
        desk.says.write.append("alice")
        desk.tag()
        desk.made.sync()
        before = desk.made.ids("Event")
        assert len(before) == 1
        desk.says.write.clear()
        desk.made.sync()
        desk.made.ahead += timedelta(days=1)
        desk.made.engine.reconcile()
        with desk.made.engine.state.reading() as tx:
            assert [p.state for p in tx.pairs.listing("bob")] == [PairState.UNLINKED]
        assert desk.made.ids("Event") == before
        assert desk.dav.send("GET", desk.dav.calendar_url("Calendar") + "one.ics").status == 200
        desk.says.write.append("alice")
        desk.made.sync()
        assert desk.made.ids("Event") == before
