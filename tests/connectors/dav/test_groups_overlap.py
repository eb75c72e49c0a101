"""apply, more than one group: the server does not wait for us, and nothing depends on what is still under way."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from crmsync.connectors.contract import Delete, Done
from crmsync.connectors.dav.habits import MOST_AT_A_TIME, Pace
from crmsync.connectors.dav.writing import GROUP
from crmsync.connectors.errors import AuthExpired
from tests.connectors.dav.bench import BOOK_COLLECTION, Desk, card, create
from tests.servers.quirky import Reply, Request


def which(at: Desk, request: Request) -> tuple[str, int]:
    """Its method, and how many of those have come, with this one."""
    seen = at.server.seen(request.method)
    return request.method, next(n for n, each in enumerate(seen, 1) if each is request)


def test_a_group_is_planned_while_one_is_sent_and_sent_while_that_is_read_back(at: Desk) -> None:
    planned, sent = Event(), Event()
    waited: list[bool] = []

    def before(request: Request) -> Reply | None:
        match which(at, request):
            case ("PUT", 1):
                waited.append(planned.wait(60))
            case ("PUT", number) if number > GROUP:
                sent.set()
            case ("REPORT", 2):
                planned.set()
            case ("REPORT", 3):
                waited.append(sent.wait(60))
        return None

    at.server.before = before
    outcomes = at.apply(*(create(f"k{n}") for n in range(GROUP + 1)))
    assert [o.id for o in outcomes if isinstance(o, Done)] == [f"k{n}.vcf" for n in range(GROUP + 1)]
    assert waited == [True, True]
    assert len(at.server.seen("REPORT")) == 4


def test_what_meets_an_item_that_is_under_way_is_planned_when_that_has_ended(at: Desk) -> None:
    etag = at.server.set("key-1.vcf", card("key-1"))
    looked = Event()
    early: list[bool] = []

    def before(request: Request) -> Reply | None:
        if request.method == "REPORT":
            looked.set()
        elif request.method == "DELETE":
            looked.clear()
            early.append(looked.wait(0.5))
        return None

    at.server.before = before
    outcomes = at.apply(Delete("key-1.vcf", etag), create("key-1", "Reborn"))
    assert early == [False]
    assert [type(outcome) for outcome in outcomes] == [Done, Done]
    assert b"Reborn" in at.server.items["key-1.vcf"][1]


def test_after_a_reading_back_that_breaks_off_nothing_more_leaves(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, end = Event(), ThreadPoolExecutor.shutdown

    def ends(threads: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        over.set()
        end(threads, wait, cancel_futures=cancel_futures)

    def before(request: Request) -> Reply | None:
        match which(at, request):
            case ("PUT", number) if number > GROUP:
                over.wait(60)
            case ("REPORT", 3):
                return Reply(401)
        return None

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", ends)
    at.server.before = before
    with pytest.raises(AuthExpired):
        at.apply(*(create(f"k{n}") for n in range(2 * GROUP)))
    assert GROUP < len(at.server.seen("PUT")) <= GROUP + MOST_AT_A_TIME


def test_whoever_reads_need_not_wait_for_those_who_write(at: Desk) -> None:
    """The cycle reads the next batch, and its helper reads back, while all writers are busy."""
    at.source._habits.pace = Pace(MOST_AT_A_TIME)
    at.connector = at.source.open(BOOK_COLLECTION)
    at.server.set("there.vcf", card("there"))
    all_of_them = Barrier(MOST_AT_A_TIME + 2)

    def before(request: Request) -> Reply | None:
        match which(at, request):
            case ("PUT", number) if number <= MOST_AT_A_TIME:
                all_of_them.wait(20)
            case ("REPORT", 2 | 3):  # the first one looks for the new items
                all_of_them.wait(20)
        return None

    at.server.before = before
    with ThreadPoolExecutor(3) as threads:
        written = threads.submit(at.apply, *(create(f"k{n}") for n in range(MOST_AT_A_TIME)))
        while not at.server.seen("PUT"):
            assert not written.done()
        read = [threads.submit(at.fetch, "there.vcf") for _ in range(2)]
        assert [len(each.result(120)) for each in read] == [1, 1]
        assert all(isinstance(o, Done) for o in written.result(120))
