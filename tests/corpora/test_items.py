"""Every item of the corpora by itself: what becomes of it and why, and whether its columns are what it says."""

import logging
import re
import time
import warnings
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav import mapping as caldav
from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.carddav import mapping as carddav
from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import Collection, Columns, Create, Done, Kind, Record
from crmsync.connectors.dav.contentline import decode
from crmsync.connectors.dav.item import Format, Item, Malformed, NotOurs
from tests.connectors.dav.corpora import files, needs_corpora
from tests.corpora.breaches import breaches
from tests.corpora.shelf import Resource, shelf
from tests.corpora.verdicts import STRICT, verdicts
from tests.servers.quirky import BOOK, quirky

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own imports
    import icalendar
    import vobject

FORMATS: dict[str, Format] = {"addressbook": carddav, "calendar": caldav}

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)

_QUOTED = re.compile(r"'[^']*'|0x\w\w at position \d+")  # from the file itself

pytestmark = needs_corpora


def verdict(data: bytes, sort: str) -> str:
    """What becomes of a file as it is."""
    try:
        item = FORMATS[sort].read(decode(data))
    except NotOurs:
        return "not ours"
    except Malformed as error:
        return "parked: " + _QUOTED.sub("…", error.rule)
    what = (
        _as_series(data)
        if _repeats(item)
        else f"untouched: {item.untouchable}"
        if item.untouchable
        else "synced"
    )
    let_through = breaches(data, sort)
    return f"{what}, though {'; '.join(let_through)}" if let_through else what


def _repeats(item: Item) -> bool:
    return item.untouchable == "recurring" and item.kind is Kind.APPOINTMENT


def _as_series(data: bytes) -> str:
    try:
        counted(Series(decode(data)))
    except Malformed as error:
        return f"untouched: recurring, and {error.rule}"
    return "synced by occurrence"


def counted(series: Series) -> dict[str, datetime]:
    """Of its first two months, after it was counted out up to today."""
    first = min(series.changed, default=series.begins)
    begins = series.clock.moment(min(first, series.begins), series.style)
    series.between(NOW, NOW + timedelta(days=90))
    series.next_after(NOW)
    return dict(series.between(begins, begins + timedelta(days=60)))


def test_an_occurrence_is_changed_taken_out_and_put_back() -> None:
    """Of each series the first three: nothing else changes with them, and the master not at all."""
    done = 0
    for each in shelf():
        if each.sort == "calendar" and verdict(each.data, each.sort).startswith("synced by occurrence"):
            series = Series(decode(each.data))
            for name in list(counted(series))[:3]:
                _try(series, name, each.name)
                done += 1
    assert done > 100


def _try(series: Series, name: str, where: str) -> None:
    slot = series.slot(name)
    assert slot is not None, where
    before = series.occurrence(slot)
    edited = Series(exceptions.changed(series, slot, {"subject": "Ändert; sich"}, tag="", now=NOW))
    now = edited.occurrence(slot)
    assert now.columns == {**before.columns, "subject": "Ändert; sich"}, where
    if series.master is not None:
        assert _master(series) == _master(edited), where
    kept = exceptions.alone(exceptions.by_itself(edited, slot), UTC)
    assert kept is not None, where
    text = exceptions.without(edited, slot, NOW)
    if not text:
        return
    out = Series(text)
    assert out.slot(name) is None, where
    back = Series(exceptions.put_back(out, slot, kept, NOW))
    assert back.occurrence(slot).columns == now.columns, where
    others = {s: o for s, o in series.changed.items() if s != slot}
    assert {s: [line.raw for line in back.changed[s].lines] for s in others} == {
        s: [line.raw for line in own.lines] for s, own in others.items()
    }, where


def _master(series: Series) -> list[str]:
    assert series.master is not None
    return [line.raw for line in series.master.lines]


def test_each_file_has_its_verdict(tmp_path: Path) -> None:
    """Whole files, as they stand. A file that is not in the table has to be readable in time, no more, if it is a file
    of somebody's own."""
    known = verdicts()
    found: dict[str, str] = {}
    for kind, sort in (("vcard", "addressbook"), ("icalendar", "calendar")):
        for path in files(kind):
            started = time.process_time()
            found[path.stem] = verdict(path.read_bytes(), sort)
            assert time.process_time() - started < 2, path
    table = "".join(f"{name}\t{what}\n" for name, what in sorted(found.items()))
    (tmp_path / "verdicts.tsv").write_text(table)
    parked = Counter(_rule(what) for what in found.values())
    print(f"\n{tmp_path / 'verdicts.tsv'}", *(f"{n:4} {what}" for what, n in parked.most_common()), sep="\n")
    assert {n: w for n, w in found.items() if known.get(n, w) != w} == {}
    assert not STRICT or found.keys() <= known.keys(), found.keys() - known.keys()


def _rule(what: str) -> str:
    """Without what differs from file to file."""
    what, _, though = what.partition(", though ")
    return (
        what.partition(":")[0] + what[what.rfind("(") :]
        if what.startswith("parked")
        else what + (though and " though")
    )


@cache
def readable() -> tuple[tuple[Resource, str, Item], ...]:
    found = []
    for each in shelf():
        try:
            text = decode(each.data)
            found.append((each, text, FORMATS[each.sort].read(text)))
        except Malformed:
            continue
    return tuple(found)


# Where another reader is wrong, or has an opinion of its own.
_UNLIKE = {
    "02a22e90ed7f62d4.vcf": {"notes"},  # vobject joins the soft line breaks of quoted-printable wrongly
    "6c65e9cc557a3739.vcf": {"notes"},  # \" is no escape (RFC 2426 4); vobject drops the backslash
    "3425de8d9526aa6f.vcf": {"prefix"},  # a list with a comma; vobject makes it a blank
}


def test_vobject_reads_the_same() -> None:
    compared = 0
    for resource, text, item in readable():
        if resource.sort == "addressbook" and (theirs := _by_vobject(text)):
            compared += 1
            assert _differing(item.columns, theirs) <= _UNLIKE.get(resource.name, set()), resource.name
    assert compared > len(files("vcard")) / 2


def test_icalendar_reads_the_same() -> None:
    compared = 0
    logging.disable(logging.CRITICAL)  # it complains of what is broken
    try:
        for resource, text, item in readable():
            if resource.sort == "calendar" and (theirs := _by_icalendar(text, item.columns)):
                compared += 1
                assert _differing(item.columns, theirs) == set(), resource.name
    finally:
        logging.disable(logging.NOTSET)
    assert compared > len(files("icalendar")) / 2


def _by_vobject(text: str) -> dict[str, object]:
    try:
        card = vobject.readOne(text)
    except Exception:  # noqa: BLE001  # what it cannot read cannot be compared
        return {}
    theirs: dict[str, object] = {
        column: getattr(card, name).value
        for column, name in (("job_title", "title"), ("notes", "note"))
        if hasattr(card, name)
    }
    if hasattr(card, "org"):
        theirs["company"] = card.org.value[0]
    if hasattr(card, "n") and hasattr(card.n.value, "family"):
        name = card.n.value
        theirs |= {"last_name": name.family, "first_name": name.given, "prefix": name.prefix}
    return theirs


def _by_icalendar(text: str, ours: Columns) -> dict[str, object]:
    try:
        calendar = icalendar.Calendar.from_ical(text, multiple=True)[0]
    except Exception:  # noqa: BLE001  # as above
        return {}
    some = [each for each in calendar.walk() if each.name in ("VEVENT", "VTODO")]
    main = next((each for each in some if "RECURRENCE-ID" not in each), some[0] if some else None)
    if main is None:
        return {}
    names = {"subject": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION"}
    times = {"start": "DTSTART", "end": "DTEND", "due": "DUE"}
    return {column: main.get(name) for column, name in names.items()} | {
        column: moment
        for column, name in times.items()
        if name in main and column in ours and (moment := _moment(main, name)) is not None
    }


def _moment(component: "icalendar.Component", name: str) -> object:
    """Only times without a zone: it knows zones process-wide, and takes a date in a zone for midnight there."""
    if "TZID" in component[name].params:
        return None
    try:
        moment = component[name].dt
    except icalendar.error.BrokenCalendarProperty:
        return None
    return moment.astimezone(UTC) if isinstance(moment, datetime) and moment.tzinfo else moment


def _differing(ours: Columns, theirs: dict[str, object]) -> set[str]:
    return {
        column
        for column, value in theirs.items()
        if column in ours and value is not None and not _same(ours[column], value)
    }


def _same(ours: object, theirs: object) -> bool:
    if isinstance(ours, datetime) and isinstance(theirs, datetime) and theirs.tzinfo is None:
        return ours.replace(tzinfo=None) == theirs  # floating: UTC here
    if isinstance(theirs, str | list | None):
        words = theirs if isinstance(theirs, list) else [theirs or ""]
        return " ".join(str(ours or "").split()) == " ".join(" ".join(map(str, words)).split())
    return ours == theirs


@pytest.mark.parametrize("sort", ["addressbook", "calendar"])
def test_what_is_created_of_the_columns_reads_back(sort: str) -> None:
    """Every column of every item, into a new item on a server and back."""
    source_of = {"addressbook": CardDavSource, "calendar": CalDavSource}[sort]
    kinds = {"addressbook": {Kind.CONTACT}, "calendar": {Kind.APPOINTMENT, Kind.TASK}}[sort]
    items = [item for resource, _, item in readable() if resource.sort == sort and _can_be_made(item)]
    with quirky(sort) as server:
        source = source_of(server.url, "alice", "secret")
        connector = source.open(Collection(BOOK, "x", frozenset(kinds)))
        fixed = FORMATS[sort].READ_ONLY
        creates = [
            Create(
                f"made-{n}",
                item.kind,
                {c: v for c, v in item.columns.items() if c not in fixed.get(item.kind, ())},
            )
            for n, item in enumerate(items)
        ]
        outcomes = list(connector.apply(creates))
        source.close()
    for create, outcome in zip(creates, outcomes, strict=True):
        assert isinstance(outcome, Done), (create, outcome)
        assert isinstance(outcome.record, Record)
        wanted = FORMATS[sort].project(create.kind, create.columns)
        assert {n: v for n, v in outcome.record.columns.items() if n in wanted} == wanted, create
        others = outcome.record.columns.keys() - wanted.keys() - {"anniversary", "birthday"}
        assert not any(outcome.record.columns[n] for n in others if n not in _DEFAULTS), create
    assert len(creates) > len(files({"addressbook": "vcard", "calendar": "icalendar"}[sort])) / 4


_DEFAULTS = {"show_as", "sensitivity", "status", "all_day", "end"}


def _can_be_made(item: Item) -> bool:
    named = ("first_name", "last_name", "middle_name", "prefix", "suffix", "company", "email")
    return item.kind is not Kind.CONTACT or any(item.columns.get(name) for name in named)
