"""Items of the corpora, made worse: read or refused with a reason, patched or left alone, and always in time."""

import os
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from crmsync.connectors.caldav import mapping as caldav
from crmsync.connectors.carddav import mapping as carddav
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Kind, Value
from crmsync.connectors.dav.contentline import decode
from crmsync.connectors.dav.item import Format, Item, Malformed, NotOurs
from crmsync.connectors.dav.reading import crlf
from tests.connectors.dav.corpora import needs_corpora
from tests.corpora.compare import complaints
from tests.corpora.house import house
from tests.corpora.mutants import mutants
from tests.corpora.shelf import Resource, shelf

BATCH = 1000
BATCHES = int(os.environ.get("CRMSYNC_CORPORA_MUTANTS", "1000")) // BATCH  # more of them: other ones
SEED = int(os.environ.get("CRMSYNC_CORPORA_SEED", "1"))
COLUMNS_EACH = 6  # that are edited in one mutant, others in the next
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
FORMATS: dict[str, Format] = {"addressbook": carddav, "calendar": caldav}

ANNIVERSARIES = {"ANNIVERSARY", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY", "X-ABDATE"}
_NAME, _MAIL, _DONE = {"N", "FN"}, {"EMAIL", "FN"}, {"STATUS", "PERCENT-COMPLETE", "COMPLETED"}
LINES = {
    **dict.fromkeys(("prefix", "first_name", "middle_name", "last_name", "suffix"), _NAME),
    **dict.fromkeys(("email", "email_2", "email_3"), _MAIL),
    **dict.fromkeys(("status", "percent_complete", "completed_at"), _DONE),
    "company": {"ORG", "FN"},
    "department": {"ORG"},
    "job_title": {"TITLE"},
    "nickname": {"NICKNAME"},
    "website": {"URL"},
    "birthday": {"BDAY"},
    "anniversary": ANNIVERSARIES,
    "notes": {"NOTE"},
    "subject": {"SUMMARY"},
    "location": {"LOCATION"},
    "description": {"DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION"},
    "attendees": {"ATTENDEE"},
    "show_as": {"TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"},
    "sensitivity": {"CLASS"},
    "priority": {"PRIORITY"},
    "due": {"DUE", "DURATION"},
    "categories": {"CATEGORIES"},
    "activity": {"CATEGORIES"},
}
WORDS: dict[str, Value] = {
    "show_as": "tentative",
    "sensitivity": "confidential",
    "priority": "low",
    "activity": "letter",
    "percent_complete": 35,
    "due": date(2031, 1, 2),
    "reminder": datetime(2031, 1, 2, 9, tzinfo=UTC),
    "categories": ("Edited",),
    "attendees": ("ada@example.com accepted", "eve@example.com"),
}

pytestmark = needs_corpora


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutants_are_read_or_refused_and_patched_or_left_alone(batch: int) -> None:
    fate: Counter[str] = Counter()
    wrong: dict[str, object] = {}
    for number, mutant in enumerate(mutants(shelf(), BATCH, SEED + 1000 * batch)):
        started = time.process_time()
        try:
            fate[_tried(mutant, FORMATS[mutant.sort], number)] += 1
        except Exception as error:  # noqa: BLE001  # whatever it is, it names the mutant
            wrong[mutant.name] = repr(error)
        if time.process_time() - started > 2:
            wrong[mutant.name] = "more than 2 s"
    print("\n", fate.most_common(12))
    for name, error in wrong.items():
        print(name, str(error)[:300])
    assert wrong == {}


def _tried(mutant: Resource, format: Format, number: int) -> str:
    try:
        text = crlf(decode(mutant.data))
        item = format.read(text)
    except Malformed as error:
        return _rule(error)
    assert format.patch(text, {}, now=NOW) == text
    assert format.patch(text, item.columns, now=NOW) == text, "its own columns change it"
    if item.untouchable:
        return item.untouchable
    for column, value in _edits(item, number):
        _edited(text, item, format, column, value)
    return "read"


def _rule(error: Malformed) -> str:
    """Each refusal names the rule, or the bound that was passed."""
    assert "RFC" in error.rule or "than" in error.rule or isinstance(error, NotOurs), error.rule
    return error.rule.partition("(")[2][:20]


def _edits(item: Item, number: int) -> list[tuple[str, Value]]:
    written = HOLDS[item.kind] - caldav.READ_ONLY.get(item.kind, frozenset())
    held = [name for name in COLUMNS[item.kind] if name in written]
    turn = [held[(number + n * len(held) // COLUMNS_EACH) % len(held)] for n in range(COLUMNS_EACH)]
    return [(name, _value(item.kind, name)) for name in turn]


HOLDS = {**carddav.HOLDS, **caldav.HOLDS}
_AFTER = {"email_2": "email", "email_3": "email_2"}  # whose places are held open by lines without a value
# several lines, or a component of its own: what they leave alone is tried where they are written
_GROUPED = {"reminder", "attendees", "start", "end", "all_day", "time_zone", "completed_at"}


def _value(kind: Kind, name: str) -> Value:
    if name == "status":
        return "cancelled"
    if name in WORDS:
        return WORDS[name]
    match COLUMNS[kind][name].type:
        case Type.DATE:
            return date(2001, 2, 3)
        case Type.LONG:
            return "Edited ;,\\\n" + "ü" * 80
        case Type.EMAIL:
            return "edited@example.com"
        case Type.PHONE:
            return "+49 89 1"
        case Type.URL:
            return "https://example.com/edited"
        case _:
            return "Edited ;,\\ ü"


def _edited(text: str, item: Item, format: Format, column: str, value: Value) -> None:
    if column in _GROUPED or (column in _AFTER and not item.columns.get(_AFTER[column])):
        return
    names = LINES.get(column) or {"TEL" if column.startswith("phone") else "ADR"}
    after = format.patch(text, {column: value}, now=NOW)
    wrong = complaints(text, after, frozenset(names))
    assert not wrong, (column, wrong)
    assert format.read(after).columns[column] == value, column
    emptied = format.patch(after, {column: None}, now=NOW)
    again = format.read(emptied)
    kept = {n: v for n, v in item.columns.items() if COLUMNS[item.kind][n].group == "" and n != column}
    moved = {n for n, v in kept.items() if n in again.columns and again.columns[n] != v}
    assert not moved or _may_follow(column, moved), (column, moved)


def _may_follow(column: str, moved: set[str]) -> bool:
    """Names made of FN, when there is no N; an address after one that is taken out stays where it is."""
    return moved <= {"prefix", "first_name", "middle_name", "last_name", "suffix"}


def test_mutants_on_a_server(tmp_path: Path) -> None:
    """The whole way: no crash, nothing touched but for the stamp, and quiet afterwards."""
    some = list(mutants(shelf(), 150 * BATCHES, SEED + 1))
    with house(tmp_path) as made:
        made.put(some)
        made.sync()
        report = made.sync()
        assert report["writes"] == 0, report
        linked = made.pairs()
        for each in some:
            before, after = each.data, made.stored(each)
            if each.name not in linked:
                assert after == before, each.name
            elif after != before:
                assert complaints(decode(before), decode(after), frozenset()) == [], each.name
