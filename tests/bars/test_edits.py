"""Three hundred edits on both sides, and what has to become of each of them."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.bars.cli import until
from tests.bars.columns import EDITABLE, EditableColumn
from tests.bars.meetings import event, task
from tests.bars.office import FULL, Office, office
from tests.bars.people import Sample, contact

pytestmark = [pytest.mark.bar, pytest.mark.timeout(1200)]
SEED = int(os.environ.get("CRMSYNC_BARS_SEED", "11"))  # another one, other edits
EDITS = 300 if FULL else 60
ITEMS = {"Contact": 120, "Event": 100, "Task": 50} if FULL else {"Contact": 40, "Event": 30, "Task": 15}
SIDES: tuple["Side", "Side"] = ("ecs", "crm")
Side = Literal["ecs", "crm"]
Fate = Literal["", "deleted", "recreated", "untagged"]


@dataclass
class Pair:
    """One item and its record, and what has been done to them."""

    table: str
    sample: Sample
    url: str
    record: str  # id
    late: Side  # this side's edits come two seconds after all of the other's
    base: dict[str, Any] = field(default_factory=dict)
    edits: dict[Side, dict[str, Any]] = field(default_factory=lambda: {"ecs": {}, "crm": {}})
    fate: Fate = ""
    gone: Side = "ecs"  # where it was deleted

    @property
    def columns(self) -> dict[str, EditableColumn]:
        return {c.name: c for c in EDITABLE[self.table]}

    def expected(self, column: str) -> Any:
        """The rules: one edit stands; of two, the later one."""
        early: Side = "crm" if self.late == "ecs" else "ecs"
        for side in (self.late, early):
            if column in self.edits[side]:
                return self.edits[side][column]
        return self.base[column]

    def collisions(self) -> Iterator[tuple[str, Any, Any]]:
        """Columns in which both sides were changed to something else: (name, ECS value, CRM value)."""
        for column in self.edits["ecs"].keys() & self.edits["crm"].keys():
            ecs, crm = self.edits["ecs"][column], self.edits["crm"][column]
            if ecs != crm:
                yield column, ecs, crm


@dataclass(frozen=True)
class Edit:
    pair: Pair
    side: Side
    column: str
    value: Any


@dataclass
class Edited:
    """The office after the edits and the sync that followed."""

    office: Office
    pairs: list[Pair]
    edits: list[Edit]
    answer: Any
    conflicts: list[dict[str, Any]]

    def alive(self) -> list[Pair]:
        return [p for p in self.pairs if p.fate == ""]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edited]:
    with office(tmp_path_factory.mktemp("edits")) as made:
        pairs = _linked(made, random.Random(SEED))
        rng = random.Random(SEED + 1)
        edits = list(_chosen(pairs, rng))
        for late in (False, True):
            for edit in edits:
                if (edit.side == edit.pair.late) is late:
                    _carry_out(made, edit)
            if not late:
                _two_seconds_later(made)
        for pair in pairs:
            _meet_fate(made, pair)
        answer = made.cli("sync")
        assert answer.code == 0, answer
        yield Edited(made, pairs, edits, answer.json, made.cli.ok("conflicts"))


def _linked(made: Office, rng: random.Random) -> list[Pair]:
    """The office after its first sync."""
    samples = {
        "Contact": [contact(5 * n + 1) for n in range(ITEMS["Contact"])],
        "Event": [event(7 * (n // 3) + n % 3) for n in range(ITEMS["Event"])],
        "Task": [task(n) for n in range(ITEMS["Task"])],
    }
    pairs = []
    for table, some in samples.items():
        where = made.book if table == "Contact" else made.calendar
        for sample in some:
            made.dav.put(where + sample.name, sample.text)
            late = rng.choice(SIDES)
            pairs.append(Pair(table, sample, where + sample.name, "", late))
    made.sync()
    for table, key in (("Contact", "Email"), ("Event", "Subject"), ("Task", "Subject")):
        rows = {row[key]: row for row in made.rows(table)}
        for pair in (p for p in pairs if p.table == table):
            row = rows[pair.sample.key]
            pair.record = row["Id"]
            pair.base = {c.name: c.row(row) for c in pair.columns.values()}
    return pairs


def _chosen(pairs: list[Pair], rng: random.Random) -> Iterator[Edit]:
    """Fates first, then edits; a third of them where the other side was edited already."""
    of = {table: [p for p in pairs if p.table == table] for table in EDITABLE}
    count = 0
    for table, some in of.items():
        removals = max(1, len(some) // 25)  # below every threshold, untagged ones counted
        unlucky = iter(rng.sample(some, 4 * removals if table != "Event" else 5))
        for fate, number in (("deleted", removals), ("untagged", removals), ("recreated", 2 * removals)):
            for _ in range(number):
                if (pair := next(unlucky, None)) is not None:
                    pair.fate, pair.gone = fate, rng.choice(SIDES)  # type: ignore[assignment]
                    if pair.fate == "recreated":
                        other: Side = "crm" if pair.gone == "ecs" else "ecs"
                        count += 1
                        yield _edit(pair, other, rng, count)
    made: list[Edit] = []
    while count < EDITS:
        count += 1
        if made and rng.random() < 0.35:
            before = rng.choice(made)
            side: Side = "crm" if before.side == "ecs" else "ecs"
            edit = _edit(before.pair, side, rng, count, before.column)
        else:
            table = rng.choices(list(of), (60, 25, 15))[0]
            edit = _edit(rng.choice([p for p in of[table] if p.fate == ""]), rng.choice(SIDES), rng, count)
        made.append(edit)
        yield edit


def _edit(pair: Pair, side: Side, rng: random.Random, number: int, column: str = "") -> Edit:
    name = column or rng.choice(list(pair.columns))
    value = pair.base[name]
    while value == pair.base[name]:
        value = pair.columns[name].make(rng, number)
    other: Side = "crm" if side == "ecs" else "ecs"
    if name in pair.edits[other] and rng.random() < 0.2:
        value = pair.edits[other][name]  # both had the same idea
    pair.edits[side][name] = value
    return Edit(pair, side, name, value)


def _carry_out(made: Office, edit: Edit) -> None:
    column = edit.pair.columns[edit.column]
    if edit.side == "ecs":
        made.dav.put(edit.pair.url, column.write(made.text(edit.pair.url), edit.value))
    else:
        getattr(made.sf_alice, edit.pair.table).update(edit.pair.record, column.fields(edit.value))


def _two_seconds_later(made: Office) -> None:
    """Both servers tell the time of a change in whole seconds."""
    begun = made.crm.crm.clock().timestamp()
    until(lambda: made.crm.crm.clock().timestamp() > begun + 2.2)


def _meet_fate(made: Office, pair: Pair) -> None:
    if pair.fate == "untagged":
        made.edit(pair.url, ("CRM", "Not"))
    elif pair.fate and pair.gone == "ecs":
        made.delete(pair.url)
    elif pair.fate:
        getattr(made.sf_alice, pair.table).delete(pair.record)


# ── What must hold afterwards ────────────────────────────────────────────────────────────────────────────────


def test_there_was_something_to_decide(edited: Edited) -> None:
    assert len(edited.edits) >= EDITS
    assert sum(1 for p in edited.alive() for _ in p.collisions()) >= EDITS // 12
    assert {p.fate for p in edited.pairs} == {"", "deleted", "recreated", "untagged"}


def test_both_sides_are_equal_and_every_value_is_explained(edited: Edited) -> None:
    rows = {row["Id"]: row for table in EDITABLE for row in edited.office.rows(table)}
    wrong = []
    for pair in edited.alive():
        text, row = edited.office.text(pair.url), rows[pair.record]
        for name, column in pair.columns.items():
            shown = (pair.expected(name), column.read(text), column.row(row))
            if not shown[0] == shown[1] == shown[2]:
                wrong.append((pair.url, pair.late, name, shown, pair.edits))
    assert wrong == []


def test_every_losing_value_is_in_the_conflict_log(edited: Edited) -> None:
    told = {(c["record"], c["column"]): c for c in edited.conflicts}
    expected = set()
    for pair in edited.alive():
        for column, ecs, crm in pair.collisions():
            if (
                column == "start"
            ):  # start and end win or lose together; each is told by itself where it differs
                expected |= {
                    (pair.record, n) for n, a, b in zip(("start", "end"), ecs, crm, strict=True) if a != b
                }
                continue
            expected.add((pair.record, column))
            entry = told[pair.record, column]
            assert (entry["winner"], entry["resolved"]) == (pair.late, True), entry
            loser: Side = "crm" if pair.late == "ecs" else "ecs"
            assert _word(entry[loser]) == _word((ecs, crm)[loser == "crm"]), (entry, ecs, crm)
    assert told.keys() == expected


def _word(value: Any) -> str:
    """Tasks and events have words of their own for the values of a list."""
    return str(value or "").lower().replace(" ", "_").strip()


def test_deleted_is_gone_on_both_sides(edited: Edited) -> None:
    for pair in (p for p in edited.pairs if p.fate == "deleted"):
        assert not edited.office.has(pair.url)
        assert edited.office.rows(pair.table, f"Id = '{pair.record}'") == []


def test_untagged_is_left_alone_on_both_sides(edited: Edited) -> None:
    for pair in (p for p in edited.pairs if p.fate == "untagged"):
        assert edited.office.has(pair.url)
        (row,) = edited.office.rows(pair.table, f"Id = '{pair.record}'")
        assert {n: c.row(row) for n, c in pair.columns.items()} == pair.base


def test_an_edit_beats_a_delete(edited: Edited) -> None:
    """It stands on both sides again, once, with the edit; and the history says why."""
    for pair in (p for p in edited.pairs if p.fate == "recreated"):
        texts = edited.office.stored(pair.url.rpartition("/")[0] + "/")
        wanted = {name: pair.expected(name) for name in pair.columns}
        same = [n for n, s in texts.items() if _reads(pair, s.text) == wanted]
        rows = [
            r
            for r in edited.office.rows(pair.table)
            if {n: c.row(r) for n, c in pair.columns.items()} == wanted
        ]
        assert (len(same), len(rows)) == (1, 1), (pair, same, rows)
        reasons = [line["reason"] for line in edited.office.cli.ok("history", rows[0]["Id"])]
        assert any("the edit wins" in reason for reason in reasons), reasons


def _reads(pair: Pair, text: str) -> dict[str, Any] | None:
    begins = {"Contact": "BEGIN:VCARD", "Event": "BEGIN:VEVENT", "Task": "BEGIN:VTODO"}[pair.table]
    if begins not in text or (pair.table == "Event" and "DTSTART;VALUE=DATE" in text):
        return None
    return {n: c.read(text) for n, c in pair.columns.items()}


def test_nothing_is_left_to_do(edited: Edited) -> None:
    assert edited.answer["errors"] == []
    assert edited.office.cli.ok("queue") == []
    edited.office.quiet()


def test_a_loser_can_be_brought_back(edited: Edited) -> None:
    pair, column = next(
        (p, c)
        for p in edited.alive()
        for c, *_ in p.collisions()
        if p.columns[c].name not in ("start", "status")
    )
    loser: Side = "crm" if pair.late == "ecs" else "ecs"
    edited.office.cli.ok("conflicts", "resolve", pair.record, column, "--keep", loser)
    edited.office.sync()
    (row,) = edited.office.rows(pair.table, f"Id = '{pair.record}'")
    value = pair.edits[loser][column]
    assert pair.columns[column].row(row) == pair.columns[column].read(edited.office.text(pair.url)) == value


def test_names_of_files_stay(edited: Edited, tmp_path: Path) -> None:
    """An edit never moves an item to another resource."""
    names = {p.sample.name for p in edited.pairs if p.fate in ("", "untagged")}
    there = {*edited.office.stored(edited.office.book), *edited.office.stored(edited.office.calendar)}
    assert names <= there
