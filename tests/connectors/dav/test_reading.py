"""fetch: one answer for each id, whatever one item does to the whole answer."""

from datetime import UTC, datetime

import pytest

from crmsync.connectors.contract import Gone, Hidden, Kind, Record, Ref, Unreadable
from crmsync.connectors.dav.natives import Natives
from crmsync.connectors.errors import Unreachable
from tests.connectors.dav.bench import Desk, card, desk
from tests.servers.quirky import Quirky, Reply, Request

_TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def fill(at: Desk, count: int) -> list[str]:
    names = [f"{n}.vcf" for n in range(count)]
    for name in names:
        at.server.set(name, card(name))
    return names


def test_a_batch_is_one_request_once_the_server_is_known(at: Desk) -> None:
    names = fill(at, 150)
    at.fetch(names[0])
    before = at.asked()
    records = at.fetch(*names)
    assert all(isinstance(record, Record) for record in records)
    assert at.asked() - before == 2


def test_line_ends_are_those_of_the_format(at: Desk) -> None:
    """XML has made LF of them."""
    fill(at, 1)
    (record,) = at.fetch("0.vcf")
    assert isinstance(record, Record)
    assert record.native == card("0.vcf")


def test_an_item_left_out_is_asked_for_by_itself(at: Desk) -> None:
    fill(at, 3)
    at.server.forgets = {"1.vcf", "none.vcf"}
    first, second, none = at.fetch("0.vcf", "1.vcf", "none.vcf")
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert none == Gone("none.vcf")


def test_what_is_forbidden_is_hidden(at: Desk) -> None:
    fill(at, 3)
    at.server.hides = {"0.vcf", "1.vcf"}
    at.server.forgets = {"1.vcf"}
    assert at.fetch("0.vcf", "1.vcf") == [Hidden("0.vcf"), Hidden("1.vcf")]


@pytest.mark.parametrize("text", [card("x", "\x0b"), card("x").encode() + b"\xff\xfe", card("x", "\x00")])
def test_bytes_that_break_the_whole_answer_cost_only_their_own_item(at: Desk, text: str | bytes) -> None:
    names = fill(at, 40)
    at.server.set("17.vcf", text)
    answers = at.fetch(*names)
    assert [a.id for a in answers if not isinstance(a, Record)] in ([], ["17.vcf"])
    assert sum(isinstance(a, Record) for a in answers) >= 39
    assert len(at.server.seen("REPORT")) < 20


def test_invalid_utf_8_is_unreadable_and_says_where(at: Desk) -> None:
    etag = at.server.set(
        "a.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\nCATEGORIES:CRM,Friends\r\nFN:\xff\r\nEND:VCARD\r\n"
    )
    (answer,) = at.fetch("a.vcf")
    assert isinstance(answer, Unreadable)
    assert answer.version == etag
    assert "UTF-8" in answer.reason
    assert answer.tags == {"CRM", "Friends"}


def test_an_item_that_makes_the_server_fail_is_found_by_halving(at: Desk) -> None:
    names = fill(at, 100)
    at.server.breaks = {"42.vcf"}
    answers = at.fetch(*names)
    assert all(isinstance(answer, Record) for answer in answers)
    assert len(at.server.seen("REPORT")) < 20
    assert len(at.server.seen("GET")) == 1


def test_an_item_that_the_server_itself_cannot_read(at: Desk) -> None:
    fill(at, 2)
    at.server.breaks = {"1.vcf"}

    def broken(request: Request) -> Reply | None:
        return Reply(500) if request.method == "GET" else None

    at.server.before = broken
    good, bad = at.fetch("0.vcf", "1.vcf")
    assert isinstance(good, Record)
    assert isinstance(bad, Unreadable)
    assert "500" in bad.reason


def test_a_server_that_fails_altogether_parks_nothing(at: Desk) -> None:
    names = fill(at, 50)
    at.server.before = lambda request: Reply(500)
    with pytest.raises(Unreachable):
        at.fetch(*names)
    assert at.asked() < 5


def test_a_server_without_multiget_is_asked_one_by_one(at: Desk) -> None:
    names = fill(at, 5)
    at.server.before = lambda request: Reply(501) if request.method == "REPORT" else None
    assert all(isinstance(answer, Record) for answer in at.fetch(*names))


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_too_large_is_not_read(server: Quirky, alone: bool) -> None:
    with desk(server, max_item=2000) as at:
        etag = server.set("big.vcf", card("big", more=f"NOTE:{'x' * 5000}\r\n"))
        server.set("small.vcf", card("small"))
        server.forgets = {"big.vcf"} if alone else set()
        big, small = at.fetch("big.vcf", "small.vcf")
        assert isinstance(big, Unreadable)
        assert (big.version, "2000 bytes" in big.reason) == (etag, True)
        assert isinstance(small, Record)


@pytest.mark.parametrize("text", ["", "nothing of the kind", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\n"])
def test_a_text_that_breaks_a_rule_is_unreadable(at: Desk, text: str) -> None:
    at.server.set("a.vcf", text)
    (answer,) = at.fetch("a.vcf")
    assert isinstance(answer, Unreadable)
    assert answer.reason


class TestTimes:
    def test_inline(self, at: Desk) -> None:
        names = fill(at, 2)
        assert {r.modified for r in at.fetch(*names) if isinstance(r, Record)} == {_TEN}
        before = at.asked()
        at.fetch(*names)
        assert at.asked() - before == 1

    @pytest.mark.parametrize(("count", "requests"), [(3, 3), (30, 1)])
    def test_aside(self, at: Desk, count: int, requests: int) -> None:
        """Only when they are asked for; few one by one, many with one listing."""
        at.server.times = "aside"
        names = fill(at, count)
        records = [r for r in at.fetch(*names) if isinstance(r, Record)]
        assert {r.modified for r in records} == {None}
        before = at.asked()
        dates = at.connector.dates([Ref(r.id, r.version) for r in records])
        assert (dates.keys(), set(dates.values())) == ({r.id for r in records}, {_TEN})
        assert at.asked() - before == requests

    def test_aside_is_not_believed_of_another_version(self, at: Desk) -> None:
        at.server.times = "aside"
        fill(at, 1)
        (record,) = at.fetch("0.vcf")
        assert isinstance(record, Record)
        at.server.set("0.vcf", card("0.vcf", "Edited"))
        assert at.connector.dates([Ref(record.id, record.version)]) == {}

    def test_what_is_gone_has_no_date(self, at: Desk) -> None:
        at.server.times = "aside"
        assert at.connector.dates([Ref("gone.vcf", '"1"'), Ref("../outside", '"1"')]) == {}

    @pytest.mark.parametrize("times", ["inline", "never"])
    def test_a_server_that_tells_with_the_item_or_not_at_all_is_not_asked_twice(
        self, at: Desk, times: str
    ) -> None:
        at.server.times = times
        refs = [Ref(r.id, r.version) for r in at.fetch(*fill(at, 3)) if isinstance(r, Record)]
        at.connector.dates(refs)
        before = at.asked()
        assert at.connector.dates(refs) == {}
        assert at.asked() == before


def test_what_is_remembered_is_bounded() -> None:
    natives = Natives(most=3, largest=1000)
    records = [_record(str(n), 100) for n in range(5)]
    for record in records:
        natives.put(record)
    assert [natives.get(str(n), "1") is not None for n in range(5)] == [False, False, True, True, True]
    assert natives.get("4", "2") is None
    natives.put(_record("large", 900))
    assert natives.get("large", "1") is not None
    assert natives.get("3", "1") is None
    natives.put(_record("too large", 1001))
    assert natives.get("too large", "1") is None


def _record(id: str, size: int) -> Record:
    return Record(id, "1", Kind.CONTACT, {}, native="x" * size)
