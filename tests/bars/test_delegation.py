"""Delegates at real servers: Radicale with a rights file, shared Exchange folders, and folders that Dovecot shows.

What is tagged in another person's collection has one record, the owner's, whatever the order of events.

=================================  ============  ============  ============  ===============
what happens                       CalDAV and    EWS           IMAP          engine alone
                                   CardDAV                                   (``cycle``)
=================================  ============  ============  ============  ===============
the delegate's account is first    here          here          here          test_delegation
the owner's account is first       here          here          here          test_delegation
both at the same moment            here          here          here          test_delegation
the owner's is down for an hour    here          here          here          test_delegation
the item is tagged by both         here          here          here          test_delegation
the share is withdrawn             here          here          here          test_delegation
… after it was linked through it   here          here          here          the machine
the owner has a service login      here          here          here          test_delegation
two protocols for one collection   cannot be     cannot be     cannot be     test_delegation
a change is fetched once           test_once     test_once     test_once     test_commons
=================================  ============  ============  ============  ===============

The machine is ``tests/daemon/machine/test_delegates_machine.py``, which mixes all of it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.state.model import PairState
from tests.bars.delegates import ACCOUNT, Place, Shared, place, shared

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(120)]
ALICE = "alice@example.com"

everywhere = pytest.mark.parametrize("type", ["dav", "ews", "imap"])


@contextmanager
def office(directory: Path, type: str, *, login: str = "alice") -> Iterator[tuple[Place, Shared]]:
    """``login``: what reads for Alice; empty: she has no account."""
    with shared(directory, type) as rooms:
        hers = ACCOUNT.format(name="alice") + rooms.sources("alice", login) if login else ""
        bobs = ACCOUNT.format(name="bob") + rooms.sources("bob", "bob") + rooms.bobs_own()
        with place(directory, hers + bobs, rooms.passwords()) as made:
            yield made, rooms


def is_hers(made: Place, rooms: Shared, count: int = 1) -> None:
    for table in rooms.tables:
        assert made.owners(table) == [ALICE] * count
        assert {account for account, _ in made.births(table)} == {"alice"}
        assert len(made.ids(table)) == count


@everywhere
@pytest.mark.parametrize("first", ["alice", "bob"])
@pytest.mark.parametrize("login", ["alice", "service"])
def test_a_delegate_tags_in_the_owners_collections(tmp_path: Path, type: str, first: str, login: str) -> None:
    with office(tmp_path, type, login=login) as (made, rooms):
        rooms.put("one")
        made.sync()
        rooms.tag("one", "bob")
        for _ in range(2):
            made.sync(first)
        made.sync()
        is_hers(made, rooms)
        for _, reason in (birth for table in rooms.tables for birth in made.births(table)):
            assert ("first seen through account bob, a delegate" in reason) is (first == "bob")
            assert ("last changed by Bob" in reason) is (type == "ews")
        made.quiet()


@everywhere
def test_both_at_the_same_moment(tmp_path: Path, type: str) -> None:
    with office(tmp_path, type) as (made, rooms):
        for n in range(10):
            rooms.put(f"n{n}")
            rooms.tag(f"n{n}", "bob")
        threads = [threading.Thread(target=made.engine.sync, args=([name],)) for name in ("bob", "alice")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        made.sync()
        is_hers(made, rooms, 10)
        made.quiet()


@everywhere
def test_the_owners_account_is_down_for_an_hour(tmp_path: Path, type: str) -> None:
    with office(tmp_path, type) as (made, rooms):
        rooms.put("one")
        rooms.tag("one", "bob")
        for _ in range(4):
            made.sync("bob")
            made.ahead += timedelta(minutes=20)
        assert [made.ids(table) for table in rooms.tables] == [[]] * len(rooms.tables)
        assert {row["code"] for row in made.engine.queue()} == {"waits_for_owner"}
        made.sync()
        is_hers(made, rooms)
        made.quiet()


@everywhere
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_the_item_is_tagged_by_both(tmp_path: Path, type: str, first: str) -> None:
    second = "bob" if first == "alice" else "alice"
    with office(tmp_path, type) as (made, rooms):
        rooms.put("one")
        for person in (first, second):
            rooms.tag("one", person)
            made.sync(person)
        made.sync()
        is_hers(made, rooms)
        made.quiet()


@everywhere
def test_a_share_that_is_withdrawn_deletes_nothing(tmp_path: Path, type: str) -> None:
    with office(tmp_path, type) as (made, rooms):
        rooms.put("one")
        rooms.tag("one", "bob")
        made.sync("bob")
        rooms.withdraw()
        report = made.engine.sync(["bob"])
        assert {e["code"] for e in report["errors"]} <= {"forbidden", "not_found", "no_collection"}
        made.sync("alice")
        is_hers(made, rooms)
        made.engine.sync(["bob"])
        is_hers(made, rooms)
        assert rooms.there("one")


@everywhere
def test_also_what_was_linked_through_the_share_is_unlinked_at_most(tmp_path: Path, type: str) -> None:
    """Alice has no account, so that Bob's holds the link. Days later, too, and after a look at everything."""
    with office(tmp_path, type, login="") as (made, rooms):
        rooms.put("one")
        rooms.tag("one", "bob")
        made.sync()
        made.sync()
        before = [made.ids(table) for table in rooms.tables]
        assert [len(ids) for ids in before] == [1] * len(rooms.tables)
        rooms.withdraw()
        for _ in range(3):
            made.engine.sync(["bob"])
            made.ahead += timedelta(days=1)
            made.engine.reconcile(["bob"])
        with made.engine.state.reading() as tx:
            assert {p.state for p in tx.pairs.listing("bob")} == {PairState.UNLINKED}
        assert [made.ids(table) for table in rooms.tables] == before
        assert rooms.there("one")


def test_what_a_delegate_creates_for_themselves_is_their_own(tmp_path: Path) -> None:
    with office(tmp_path, "dav") as (made, rooms):
        rooms.put_in_bobs_own("mine")  # type: ignore[attr-defined]
        made.sync()
        assert made.owners("Event") == ["bob@example.com"]
