"""apply: locked resources, conversations that break off, and the order of outcomes."""

import itertools
import threading

import pytest

from crmsync.connectors.contract import Deferred, Delete, Done, Gone, Outcome, Stale
from crmsync.connectors.dav.habits import Pace
from crmsync.connectors.errors import AuthExpired, Throttled
from tests.connectors.dav.bench import Desk, answering, card, create, rename
from tests.servers.quirky import Reply, Request


class TestLocked:
    def test_is_tried_again_with_growing_pauses(self, at: Desk) -> None:
        answering(at.server, "PUT", Reply(423), Reply(423), None)
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert at.pauses == sorted(at.pauses)
        assert len(at.pauses) == 2

    def test_for_good_is_deferred(self, at: Desk) -> None:
        at.server.before = lambda request: Reply(423) if request.method == "PUT" else None
        (outcome,) = at.apply(create("key-1"))
        assert isinstance(outcome, Deferred)
        assert len(at.pauses) > 3

    def test_a_server_that_cannot_write_twice_at_a_time_is_learnt(self, at: Desk) -> None:
        """One of the first two is refused while the other is being served. By the time that is learnt, a third may be
        under way; later on nobody comes while another one is served."""
        busy, numbers = threading.Lock(), itertools.count()
        together = threading.Barrier(2)
        crowd: list[int] = []

        def one_at_a_time(request: Request) -> Reply | None:
            if request.method != "PUT":
                return None
            number = next(numbers)
            among_the_first = number < 2
            if busy.locked():
                crowd.append(number)
            if not busy.acquire(blocking=not among_the_first):
                together.wait(60)
                return Reply(423)
            try:
                if among_the_first:
                    together.wait(60)
                at.server.before = lambda request: None
                return at.server.answer(request)
            finally:
                at.server.before = one_at_a_time
                busy.release()

        at.server.before = one_at_a_time
        outcomes = at.apply(*(create(f"k{n}") for n in range(10)))
        assert all(isinstance(outcome, Done) for outcome in outcomes)
        assert len(at.pauses) == 1
        assert all(number < 4 for number in crowd)

    def test_pace(self) -> None:
        pace = Pace(2, 4)
        for _ in range(200):
            pace.went_well()
        assert pace.width == 4
        pace.pushed_back()
        assert pace.width == 3
        for _ in range(200):
            pace.went_well()
        assert pace.width == 3
        for _ in range(5):
            pace.pushed_back()
        assert pace.width == 1


class TestBrokenOff:
    @pytest.mark.parametrize(
        ("reply", "error"), [(Reply(401), AuthExpired), (Reply(503, headers={"Retry-After": "5"}), Throttled)]
    )
    def test_the_known_beginning_is_handed_out(self, at: Desk, reply: Reply, error: type[Exception]) -> None:
        # by name: two PUTs may be under way at once, in any order
        def before(request: Request) -> Reply | None:
            return reply if request.method == "PUT" and request.path.endswith("/k4.vcf") else None

        at.server.before = before
        got: list[Outcome] = []
        with pytest.raises(error):
            got.extend(at.connector.apply([create(f"k{n}") for n in range(10)]))
        assert [outcome.id for outcome in got] == [f"k{n}.vcf" for n in range(4)]
        assert all(isinstance(outcome, Done) for outcome in got)

    def test_also_when_the_reading_back_breaks_off(self, at: Desk) -> None:
        def before(request: Request) -> Reply | None:
            return Reply(401) if at.server.seen("PUT") and request.method == "REPORT" else None

        at.server.before = before
        writes = at.connector.apply([create("key-1")])
        first = next(writes)
        assert isinstance(first, Done)
        assert (first.version, first.record) == (at.server.items["key-1.vcf"][0], None)
        with pytest.raises(AuthExpired):
            next(writes)


def test_one_item_twice_in_a_batch_is_written_in_order(at: Desk) -> None:
    etag = at.server.set("key-1.vcf", card("key-1"))
    delete, again = Delete("key-1.vcf", etag), create("key-1", "Reborn")
    outcomes = at.apply(delete, again)
    assert [type(outcome) for outcome in outcomes] == [Done, Done]
    assert b"Reborn" in at.server.items["key-1.vcf"][1]


def test_a_mixed_batch_keeps_its_order(at: Desk) -> None:
    a, b = at.server.set("a.vcf", card("a")), at.server.set("b.vcf", card("b"))
    writes = [
        create("new"),
        rename("a.vcf", '"old"'),
        Delete("b.vcf", b),
        rename("gone.vcf", '"x"'),
        rename("a.vcf", a),
    ]
    outcomes = at.apply(*writes)
    assert [type(outcome) for outcome in outcomes] == [Done, Stale, Done, Stale, Done]
    assert at.fetch("b.vcf") == [Gone("b.vcf")]
