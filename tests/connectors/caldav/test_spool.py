"""What is read to know what it is, is read once, however much there is."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from crmsync.connectors.abilities import Window
from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.caldav.occurrences import Occurrences
from crmsync.connectors.contract import Done, Kind, Record, Selection, Update, occurrence_of
from crmsync.connectors.dav.reading import batched
from crmsync.connectors.series.spool import Spool
from tests.connectors.caldav.test_series import BERLIN, WEEKLY, calendar, event
from tests.servers.quirky import Quirky, quirky


def record(name: str, text: str = "x") -> Record:
    return Record(name, f"v{name}", Kind.APPOINTMENT, {}, native=text)


@pytest.fixture
def server() -> Iterator[Quirky]:
    with quirky("calendar") as running:
        yield running


def asked_for(server: Quirky) -> int:
    """Items in all multigets."""
    return sum(r.body.count(".ics") for r in server.seen("REPORT") if "multiget" in r.report)


def test_what_memory_has_no_room_for_comes_from_disk() -> None:
    kept: Spool[int] = Spool(in_memory=2)
    for n in range(5):
        kept.put(record(str(n), f"text {n} ✓"), n)
    assert kept.take("0") is None
    assert kept.take_stored("0") == ("v0", "text 0 ✓", None)
    assert kept.take_stored("0") is None
    assert kept.take("4") == (record("4", "text 4 ✓"), 4)
    kept.put(record("1", "newer"), 6)
    assert kept.take_stored("1") is None
    kept.clear()
    assert kept.take("3") is None
    assert kept.take_stored("2") is None


def test_what_disk_has_no_room_for_is_read_again() -> None:
    kept: Spool[int] = Spool(in_memory=0, on_disk=30)
    for n in range(5):
        kept.put(record(str(n), "some text"), n)
    assert [kept.take_stored(str(n)) is not None for n in range(5)] == [True, False, False, False, False]


@pytest.mark.parametrize("in_memory", [2_000, 40])
def test_a_first_sync_reads_each_item_once(server: Quirky, in_memory: int) -> None:
    """And what is written to then, such as a tag, is read back, but not before."""
    count = 250
    for n in range(count):
        rule = (WEEKLY,) if n % 50 == 7 else ()
        server.set(f"{n}.ics", calendar(event(*BERLIN, *rule, f"SUMMARY:{n}")).replace("UID:u", f"UID:u{n}"))
    source = CalDavSource(server.url, "alice", "secret")
    (collection,) = source.collections()
    window = Window(timedelta(days=3650), timedelta(days=3650))
    items = Occurrences(source.open(collection), window, Spool(in_memory))
    ids = [item.id for page in items.changes(None, Selection()) for item in page.items]
    assert asked_for(server) == count < len(ids)
    written = 0
    for some in batched(ids, 100):
        found = [each for each in items.fetch(some) if isinstance(each, Record) and not each.untouchable]
        single = [each for each in found if occurrence_of(each.id) is None]
        writes = [Update(each.id, each.version, each.kind, {}, tag="CRM") for each in single]
        assert all(isinstance(outcome, Done) for outcome in items.apply(writes))
        written += len(writes)
    assert written == count - 5
    assert asked_for(server) == count + written
    source.close()
