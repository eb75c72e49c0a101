"""Every item of the corpora over a server that stores exactly into the embedded CRM, edited there, and back."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

import pytest

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav import mapping as caldav
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.carddav import mapping as carddav
from crmsync.connectors.contract import Value, occurrence_of
from crmsync.connectors.dav.contentline import decode
from crmsync.connectors.dav.item import Format, Malformed, NotOurs
from crmsync.connectors.dav.reading import crlf
from crmsync.state.model import Action, Pair
from tests.connectors.dav.corpora import needs_corpora
from tests.corpora.compare import complaints
from tests.corpora.edits import EDITS, Edit
from tests.corpora.house import House, house
from tests.corpora.shelf import Resource, shelf
from tests.corpora.verdicts import REFUSED, judged

FULL = os.environ.get("CRMSYNC_CORPORA_FULL") == "1"
ROUNDS = max(map(len, EDITS.values())) if FULL else 3

FORMATS: dict[str, Format] = {"addressbook": carddav, "calendar": caldav}

BERLIN = ZoneInfo("Europe/Berlin")  # where Alice is

_LINE_ENDS = re.compile("[\r\n]+")  # XML, in which they travel, knows one only (XML 1.0 2.11)

pytestmark = needs_corpora


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("trip")) as made:
        made.put(shelf())
        made.sync()
        yield made


def test_what_is_not_synced_is_not_touched(synced: House) -> None:
    linked = synced.pairs()
    assert [r.name for r in shelf() if r.name not in linked and synced.stored(r) != r.data] == []


def test_an_item_gets_a_stamp_and_nothing_else(synced: House) -> None:
    assert _complaints(synced, {r.name: r.data for r in shelf()}, {}) == {}


def test_a_second_sync_writes_nothing(synced: House) -> None:
    _idle(synced)


def test_every_item_is_linked_or_listed_or_not_ours_to_touch(synced: House) -> None:
    linked, queue = synced.pairs(), synced.engine.queue()
    parked = {each["item"]: each["code"] for each in queue}
    print("\n", len(shelf()), "items,", len(linked), "linked, parked:", dict(Counter(parked.values())))
    for each in queue:
        if each["code"] != "unreadable":
            print(f"  {each['item']}: {each['error']}")
    assert {each["state"] for each in queue} <= {"parked"}
    assert {r.name: want for r in shelf() if (want := _fate(r)) != _seen(r, linked, parked)} == {}
    assert synced.engine.matches() == []


def _fate(resource: Resource) -> str:
    try:
        item = FORMATS[resource.sort].read(crlf(decode(resource.data)))
    except NotOurs:
        return "let be"
    except Malformed:
        return "parked"
    return "let be" if item.untouchable else REFUSED.get(resource.name, "linked")


def _seen(resource: Resource, linked: Mapping[str, Pair], parked: Mapping[str, str]) -> str:
    """What the CRM refuses of somebody's own files was read and is valid: that is all that is known of it."""
    code = parked.get(resource.name)
    if code is None:
        return "linked" if resource.name in linked else "let be"
    if code == "unreadable":
        return "parked"
    return code if judged(resource) else "linked"


@pytest.mark.parametrize("number", range(ROUNDS))
def test_an_edit_in_the_crm_changes_its_column_and_nothing_else(synced: House, number: int) -> None:
    shelves = {r.name: r for r in shelf()}
    before = {name: synced.stored(r) for name, r in shelves.items()}
    edits: dict[str, Edit] = {}
    refused: Counter[str] = Counter()
    changed: dict[str, Value] = {}  # what each column says now
    alone = {n: pair for n, pair in synced.pairs().items() if occurrence_of(n) is None}
    for at, (name, pair) in enumerate(sorted(alone.items())):
        edit, row = _turn(pair, at, number), synced.row(pair)
        fields = edit.fields(row, at + number)
        if error := synced.edit(pair, fields):
            refused[f"{edit.column}: {error}"] += 1
            continue
        edits[name] = edit
        now = synced.row(pair)
        if any(row[field] != now[field] for field in fields):
            changed[name] = edit.says(now)
    report = synced.sync()
    print(f"\n{len(edits)} edits, {report['writes']} writes, refused by the CRM: {dict(refused)}")
    assert report["errors"] == []
    assert _complaints(synced, before, edits) == {}
    said = {n for n in changed if _said(shelves[n], before[n], edits[n].column) is not _NOTHING}
    stands = {n: _said(shelves[n], synced.stored(shelves[n]), edits[n].column) for n in said}
    wrong = {n: (edits[n].column, stands[n], changed[n]) for n in said if stands[n] != changed[n]}
    assert wrong == {}, "what was edited has not arrived"
    assert len(edits) > len(alone) * 9 // 10
    _idle(synced)


def test_an_edit_of_an_occurrence_adds_one_exception_and_nothing_else(synced: House) -> None:
    before = {r.name: synced.stored(r) for r in shelf()}
    edited: dict[str, str] = {}  # of each series one occurrence
    for item, pair in sorted(synced.pairs().items()):
        series, name = occurrence_of(item) or (item, "")
        if name and series not in edited and not synced.edit(pair, {"Subject": f"Edited {name}"}):
            edited[series] = name
    report = synced.sync()
    print(f"\n{len(edited)} edits, {report['writes']} writes")
    assert report["errors"] == []
    for resource in shelf():
        if resource.name not in edited:
            assert synced.stored(resource) == before[resource.name], resource.name
            continue
        old, new = crlf(decode(before[resource.name])), crlf(decode(synced.stored(resource)))
        series = Series(new, BERLIN)
        slot = series.slot(edited[resource.name])
        assert slot is not None
        assert series.occurrence(slot).columns["subject"] == f"Edited {edited[resource.name]}"
        if slot not in Series(old, BERLIN).changed:
            lines = exceptions.lines_of(series, series.changed[slot])
            rest = new.replace("".join(line.raw for line in lines), "")
            assert _LINE_ENDS.split(rest) == _LINE_ENDS.split(old), resource.name
    _idle(synced)


_NOTHING = object()


def _said(resource: Resource, data: bytes, column: str) -> object:
    """By the text itself. A birthday without a year, say, is no opinion, and is not written over."""
    return FORMATS[resource.sort].read(crlf(decode(data)), default_zone=BERLIN).columns.get(column, _NOTHING)


def _turn(pair: Pair, at: int, number: int) -> Edit:
    mine = EDITS[pair.kind]
    return mine[(at + number) % len(mine)]


def _complaints(
    synced: House, before: Mapping[str, bytes], edits: Mapping[str, Edit]
) -> dict[str, list[str]]:
    found = {}
    for resource in shelf():
        old, new = before[resource.name], synced.stored(resource)
        if old == new:
            continue
        edit = edits.get(resource.name)
        names, emptied = (edit.lines, edit.empties) if edit else (frozenset[str](), False)
        wrong = complaints(decode(old), decode(new), names, emptied=emptied)
        if wrong:
            found[f"{resource.name} {edit.column if edit else ''}"] = wrong
    return found


def _idle(synced: House) -> None:
    """But for occurrences that have come into sight: half an hour goes by with each of our edits."""
    before = synced.writes()
    report = synced.sync()
    with synced.engine.state.reading() as tx:
        told = [e for cycle in report["cycles"] for e in tx.history.of_cycle(cycle["id"])]
    come = [e for e in told if e.action == Action.CREATE and occurrence_of(e.ecs_id)]
    assert [(e.ecs_id, e.side, e.action, e.column, e.old, e.new) for e in told if e not in come] == []
    assert (report["writes"], report["errors"]) == (len(come), [])
    assert synced.writes() == before
