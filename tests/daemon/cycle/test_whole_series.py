"""Series as series, both ways, with a CRM that has fields for their rules and exceptions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.state.replica.faults import Saved
from tests.corpora.house import house
from tests.daemon.cycle.test_series import NAME, Scene, own, weekly

HOME = 'default_collection.appointment = "Book"'
FIELDS = """
[crm.main.mapping.appointment]
recurrence = { field = "Recurrence__c" }
exceptions = { field = "Exceptions__c" }
"""
ELSEWHERE = '{"date": "20261109", "location": "Room 2"}'
OWN = own("20261109", *weekly().split("\n")[3:5], "SUMMARY:Jour fixe", "LOCATION:Room 2")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path, HOME, calendar=FIELDS) as made:
        yield Scene(made)


def row(scene: Scene, name: str = NAME) -> dict[str, object]:
    return dict(scene.house.row(scene.house.pairs()[name]))


def edit(scene: Scene, **fields: object) -> None:
    assert scene.house.edit(scene.house.pairs()[NAME], fields) == ""


def test_one_record_for_the_whole_of_it(scene: Scene) -> None:
    scene.put(weekly(), OWN)
    assert scene.sync()["cycles"][0]["created"] == 1
    assert scene.events() == 1
    assert row(scene)["Recurrence__c"] == "RRULE:FREQ=WEEKLY;COUNT=8"
    assert str(row(scene)["Exceptions__c"]).startswith('{"date": "20261109"')
    scene.idle()


def test_edits_on_both_sides_meet(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    edit(scene, Exceptions__c=ELSEWHERE)
    scene.house.servers["calendar"].set(NAME, scene.text().replace("Jour fixe", "Weekly").encode())
    scene.sync()
    assert row(scene)["Subject"] == "Weekly"
    assert scene.text().count("RECURRENCE-ID;TZID=Europe/Berlin:20261109T090000") == 1
    assert scene.text().count("SUMMARY:Weekly") == 2
    assert 'X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is' in scene.text()
    scene.idle()
    edit(scene, Recurrence__c="RRULE:FREQ=WEEKLY;COUNT=8\nEXDATE:20261109")
    scene.sync()
    assert "EXDATE;TZID=Europe/Berlin:20261109T090000" in scene.text()
    scene.idle()


def test_a_series_of_the_crm_becomes_one_in_the_calendar(scene: Scene) -> None:
    crm = scene.house.crm
    fields = {
        "Subject": "Stand-up",
        "StartDateTime": "2026-11-23T09:00:00Z",
        "EndDateTime": "2026-11-23T09:15:00Z",
        "OwnerId": crm.alice.id,
        "Recurrence__c": "RRULE:FREQ=WEEKLY;BYDAY=MO,TH",
        "Exceptions__c": '{"date": "20261126", "subject": "Retrospective"}',
    }
    (made,) = crm.crm.store.create(crm.crm.store.caller(crm.alice.id), [("Event", fields)])
    assert isinstance(made, Saved)
    scene.sync()
    ((name, _),) = scene.house.pairs().items()
    text = scene.text(name)
    assert "RRULE:FREQ=WEEKLY;BYDAY=MO,TH" in text
    assert text.count("BEGIN:VEVENT") == 2
    assert "SUMMARY:Retrospective" in text
    scene.idle()


def test_what_is_no_rule_stays_where_it_was_typed(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    before = scene.text()
    edit(scene, Recurrence__c="every now and then")
    scene.sync()
    assert scene.text() == before
    scene.idle()
