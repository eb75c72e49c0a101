"""The first sync of a thousand contacts and a thousand events, and the second one."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import vobject

from tests.bars.meetings import event, task
from tests.bars.office import FULL, Office, office
from tests.bars.people import Sample, contact

pytestmark = [pytest.mark.bar, pytest.mark.timeout(1500)]
SIZE = 1000 if FULL else 150
OURS = ("X-CRMSYNC-LINK:", "REV:", "LAST-MODIFIED:")


class Before:
    """The office after its first sync, and what stood there before."""

    def __init__(self, made: Office, size: int) -> None:
        self.office = made
        self.people = [contact(n) for n in range(size)]
        self.events = [event(n) for n in range(size)]
        self.tasks = [task(n) for n in range(size // 10)]
        self.untagged = [contact(10_000 + n, tag="Friends") for n in range(5)]
        for sample in [*self.people, *self.untagged]:
            made.dav.put(made.book + sample.name, sample.text)
        for sample in [*self.events, *self.tasks]:
            made.dav.put(made.calendar + sample.name, sample.text)
        self.book = made.stored(made.book)
        self.calendar = made.stored(made.calendar)
        self.answer = made.cli("sync")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Before]:
    with office(tmp_path_factory.mktemp("first")) as made:
        yield Before(made, SIZE)


def test_it_ends_well(before: Before) -> None:
    assert (before.answer.code, before.answer.json["errors"]) == (0, [])
    created = sum(cycle["created"] for cycle in before.answer.json["cycles"])
    assert created == len(before.people) + len(before.events) + len(before.tasks)
    assert before.office.cli.ok("queue") == []


@pytest.mark.parametrize("table", ["Contact", "Event", "Task"])
def test_nothing_lost_nothing_twice_every_column_right(before: Before, table: str) -> None:
    samples = {"Contact": before.people, "Event": before.events, "Task": before.tasks}[table]
    key = "Email" if table == "Contact" else "Subject"
    rows = before.office.rows(table)
    assert len(rows) == len(samples) == before.office.count(table)
    by_key = {row[key]: row for row in rows}
    assert by_key.keys() == {sample.key for sample in samples}
    wrong = {s.name: found for s in samples if (found := _differences(s, by_key[s.key]))}
    assert wrong == {}
    assert {row["OwnerId"] for row in rows} == {before.office.crm.alice.id}
    assert len({row["Crmsync_Id__c"] for row in rows} - {None}) == len(rows)


def _differences(sample: Sample, row: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {f: (wanted, row[f]) for f, wanted in sample.row.items() if row[f] != wanted}


@pytest.mark.parametrize("collection", ["book", "calendar"])
def test_what_nobody_mapped_is_as_it_was(before: Before, collection: str) -> None:
    """Radicale sorts the properties of what is PUT, so lines are compared, not their order."""
    was: Mapping[str, Any] = getattr(before, collection)
    now = before.office.stored(getattr(before.office, collection))
    assert now.keys() == was.keys()
    untagged = {sample.name for sample in before.untagged}
    for name, stored in now.items():
        assert _lines(stored.text) == _lines(was[name].text), name
        if name in untagged:
            assert stored == was[name]
        else:
            assert stored.text.count("X-CRMSYNC-LINK:v1 ") == 1, name


def _lines(text: str) -> list[str]:
    unfolded = text.replace("\r\n ", "").replace("\r\n\t", "").split("\r\n")
    return sorted(line for line in unfolded if line and not line.startswith(OURS))


def test_every_card_is_still_one(before: Before) -> None:
    wanted = {sample.uid: sample for sample in [*before.people, *before.untagged]}
    for stored in before.office.stored(before.office.book).values():
        card = vobject.readOne(stored.text)
        assert wanted.pop(card.uid.value).key in {each.value for each in card.contents["email"]}
    assert wanted == {}


def test_every_event_and_task_is_there_for_the_caldav_library(before: Before) -> None:
    expected = {sample.uid: sample.key for sample in [*before.events, *before.tasks]}
    found = {}
    for each in before.office.calendar_objects():
        component = each.icalendar_component
        found[str(component["UID"])] = str(component["SUMMARY"])
    assert found == expected


def test_second_sync_writes_nothing_and_asks_little(before: Before) -> None:
    """At most two requests per collection and CRM object, log-ins and all: two collections, and contacts, events, those
    who are invited to them, and tasks."""
    everything = before.office.everything()
    before.office.quiet()
    assert before.office.requests() <= 2 * (2 + 4), _told(before.office)
    assert before.office.everything() == everything


def _told(made: Office) -> Sequence[str]:
    return [f"{s.method} {s.path}" for s in [*made.dav_proxy.seen, *made.crm_proxy.seen]]


def test_byte_for_byte_where_the_server_keeps_what_it_is_given(tmp_path: Path) -> None:
    """Xandikos stores cards as they are, and sorts the properties of events as they come in: order and folding stay."""
    with office(tmp_path, server="xandikos") as made:
        samples = [*(contact(n) for n in range(25)), *(event(n) for n in range(28))]
        for sample in samples:
            made.dav.put(
                (made.book if sample.name.endswith(".vcf") else made.calendar) + sample.name, sample.text
            )
        was = {**made.stored(made.book), **made.stored(made.calendar)}
        made.sync()
        now = {**made.stored(made.book), **made.stored(made.calendar)}
        for name in (sample.name for sample in samples):
            assert _but_ours(now[name].text) == _but_ours(was[name].text), name
            told = (
                "\nATTENDEE" in was[name].text
            )  # a server that would write to them gets no stamp for its own sake
            assert now[name].text.count("X-CRMSYNC-LINK:v1 ") == (0 if told else 1), name
        made.quiet()


def _but_ours(text: str) -> list[str]:
    folded = text.replace("\r\n ", "\x00 ").split("\r\n")
    return [line for line in folded if not line.startswith(OURS)]
