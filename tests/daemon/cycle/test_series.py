"""A series in the calendar, its occurrences in a CRM that cannot hold a series: over a server that stores exactly, into
the embedded CRM, and back."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.house import House, house

MASTER = """BEGIN:VEVENT
UID:weekly@example.com
DTSTAMP:20261101T080000Z
DTSTART;TZID=Europe/Berlin:20261102T090000
DTEND;TZID=Europe/Berlin:20261102T100000
SUMMARY:Jour fixe
LOCATION:Room 1
{rule}
X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
END:VALARM
END:VEVENT
"""
NAME = "weekly.ics"


def calendar(*parts: str) -> str:
    text = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//Desk//EN\nX-WR-SOMETHING:kept\n"
    return (text + "".join(parts) + "END:VCALENDAR\n").replace("\n", "\r\n")


def weekly(rule: str = "RRULE:FREQ=WEEKLY;COUNT=8", **other: str) -> str:
    text = MASTER.format(rule=rule)
    for old, new in other.items():
        text = text.replace({"at": "T090000", "until": "T100000"}.get(old, old), new)
    return text


def own(day: str, *lines: str) -> str:
    at = ("DTSTAMP:20261101T080000Z", f"RECURRENCE-ID;TZID=Europe/Berlin:{day}T090000")
    body = "".join(f"{line}\n" for line in ("UID:weekly@example.com", *at, *lines))
    return f"BEGIN:VEVENT\n{body}END:VEVENT\n"


class Scene:
    def __init__(self, made: House) -> None:
        self.house = made

    def put(self, *parts: str, name: str = NAME) -> None:
        self.house.servers["calendar"].set(name, calendar(*parts).encode())

    def text(self, name: str = NAME) -> str:
        return self.house.servers["calendar"].items[name][1].decode()

    def sync(self) -> Mapping[str, Any]:
        report = self.house.sync()
        assert report["errors"] == []
        return report

    def idle(self) -> None:
        assert self.sync()["writes"] == 0

    def rows(self) -> dict[str, Mapping[str, Any]]:
        """Events of the CRM by the name of the occurrence that they are linked to."""
        pairs = self.house.pairs()
        return {
            item.removeprefix(f"{NAME}#"): self.house.row(pair)
            for item, pair in pairs.items()
            if item.startswith(NAME)
        }

    def events(self) -> int:
        """All that stand in the CRM."""
        crm = self.house.crm.crm
        caller = crm.store.caller(self.house.crm.sync.id)
        return crm.queries.query(caller, "SELECT Id FROM Event", "").total

    def edit(self, name: str, **fields: object) -> None:
        assert self.house.edit(self.house.pairs()[f"{NAME}#{name}"], fields) == ""

    def delete(self, name: str) -> None:
        crm = self.house.crm.crm
        pair = self.house.pairs()[f"{NAME}#{name}"]
        crm.store.delete(crm.store.caller(self.house.crm.alice.id), [pair.crm_id])

    def wait(self, **time: int) -> None:
        self.house.clock.time += timedelta(**time)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path) as made:
        yield Scene(made)


ALL = ["20261116", "20261123", "20261130", "20261207", "20261214", "20261221"]  # from a week ago on


def lines(text: str) -> list[str]:
    return text.split("\r\n")


def starts(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: f"{row['StartDateTime']:%Y-%m-%d %H:%M}" for name, row in rows.items()}


def ids(scene: Scene) -> dict[str, str]:
    return {name.removeprefix(f"{NAME}#"): pair.crm_id for name, pair in scene.house.pairs().items()}


def test_each_occurrence_is_an_event(scene: Scene) -> None:
    scene.put(weekly())
    before = scene.text()
    scene.sync()
    rows = scene.rows()
    assert sorted(rows) == ALL
    assert {row["Subject"] for row in rows.values()} == {"Jour fixe"}
    assert starts(rows)["20261130"] == "2026-11-30 08:00"
    assert f"{rows['20261130']['EndDateTime']:%H:%M}" == "09:00"
    assert scene.text() == before
    scene.idle()


def test_an_endless_series_goes_on_as_time_passes(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY"))
    before = scene.text()
    scene.sync()
    known = set(scene.rows())
    assert max(known) == "20270215"
    scene.wait(days=1)
    assert scene.sync()["writes"] == 0
    assert set(scene.rows()) == known
    scene.wait(days=3)
    assert scene.sync()["writes"] == 1
    assert set(scene.rows()) - known == {"20270222"}
    assert known <= set(scene.rows())  # what is over stays
    assert scene.text() == before


def test_an_edit_of_the_series_reaches_its_occurrences(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    known = ids(scene)
    scene.put(weekly(**{"Jour fixe": "Weekly", "at": "T110000", "until": "T120000"}))
    scene.sync()
    assert ids(scene) == known
    rows = scene.rows()
    assert {row["Subject"] for row in rows.values()} == {"Weekly"}
    assert starts(rows)["20261207"] == "2026-12-07 10:00"
    scene.idle()


def test_a_series_on_another_day_takes_its_events_along(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    known = ids(scene)
    scene.put(weekly(**{"20261102": "20261104"}))
    scene.sync()
    assert set(ids(scene).values()) == set(known.values())
    assert scene.events() == len(known)
    assert ids(scene)["20261209"] == known["20261207"]
    assert starts(scene.rows())["20261209"] == "2026-12-09 08:00"
    scene.idle()


def test_moved_changed_and_cancelled_instances(scene: Scene) -> None:
    moved = own(
        "20261130",
        "DTSTART;TZID=Europe/Berlin:20261201T140000",
        "DTEND;TZID=Europe/Berlin:20261201T150000",
        "SUMMARY:Moved",
    )
    off = own("20261207", "DTSTART;TZID=Europe/Berlin:20261207T090000", "STATUS:CANCELLED")
    rule = "RRULE:FREQ=WEEKLY;COUNT=8\nEXDATE;TZID=Europe/Berlin:20261214T090000\nRDATE:20261218T120000Z"
    scene.put(weekly(rule), moved, off)
    scene.sync()
    rows = scene.rows()
    assert sorted(rows) == ["20261116", "20261123", "20261130", "20261218T130000", "20261221"]
    assert rows["20261130"]["Subject"] == "Moved"
    assert starts(rows)["20261130"] == "2026-12-01 13:00"
    assert starts(rows)["20261218T130000"] == "2026-12-18 12:00"
    scene.put(weekly(), moved)  # all of it is taken back
    scene.sync()
    assert sorted(scene.rows()) == ALL
    scene.put(weekly())
    scene.sync()
    assert scene.rows()["20261130"]["Subject"] == "Jour fixe"
    scene.idle()


def test_an_edit_in_the_crm_becomes_an_exception(scene: Scene) -> None:
    scene.put(weekly())
    before = scene.text()
    scene.sync()
    scene.edit("20261130", Subject="With guests", Location="Hall")
    scene.sync()
    after = scene.text()
    left = [each for each in lines(after) if each not in lines(before)]
    assert left[1:3] == [
        "DTSTART;TZID=Europe/Berlin:20261130T090000",
        "RECURRENCE-ID;TZID=Europe/Berlin:20261130T090000",
    ]
    assert {"SUMMARY:With guests", "LOCATION:Hall"} <= set(left)
    assert after.startswith(before[: before.index("END:VCALENDAR")])
    assert after.count("X-SOMETHING") == after.count("BEGIN:VALARM") == 2
    assert after.count("RRULE") == 1
    assert scene.rows()["20261130"]["Subject"] == "With guests"
    scene.idle()
    scene.put(
        weekly(**{"Jour fixe": "Weekly"}), after[after.rindex("BEGIN:VEVENT") : after.index("END:VCAL")]
    )
    scene.sync()
    assert scene.rows()["20261130"]["Subject"] == "With guests"
    assert scene.rows()["20261207"]["Subject"] == "Weekly"


def test_an_event_that_is_moved_in_the_crm_keeps_its_place_in_the_series(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    scene.edit(
        "20261130", StartDateTime="2026-12-01T10:00:00.000+0000", EndDateTime="2026-12-01T11:30:00.000+0000"
    )
    scene.sync()
    assert "DTSTART;TZID=Europe/Berlin:20261201T110000" in lines(scene.text())
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20261130T090000" in lines(scene.text())
    assert sorted(scene.rows()) == ALL
    scene.idle()


def test_a_delete_in_the_crm_takes_one_occurrence_out(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=12"))
    before = scene.text()
    scene.sync()
    count = scene.events()
    scene.delete("20261207")
    scene.sync()
    new = [each for each in lines(scene.text()) if each not in lines(before)]
    assert new[1] == "EXDATE;TZID=Europe/Berlin:20261207T090000"
    assert len(new) == 2  # and DTSTAMP
    assert "20261207" not in scene.rows()
    assert scene.events() == count - 1
    scene.idle()


def test_several_edits_of_one_series_are_one_write(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    for name in ALL[:3]:
        scene.edit(name, Subject=f"On {name}")
    scene.delete(ALL[4])
    scene.sync()
    assert {n: row["Subject"] for n, row in scene.rows().items()} == {
        **{n: f"On {n}" for n in ALL[:3]},
        ALL[3]: "Jour fixe",
        ALL[5]: "Jour fixe",
    }
    assert len(scene.house.servers["calendar"].seen("PUT")) == 2  # updates, then deletes
    scene.idle()


def test_both_sides_edit_different_columns_of_one_occurrence(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    scene.edit("20261130", Location="Hall")
    scene.put(weekly(**{"Jour fixe": "Weekly"}))
    scene.sync()
    row = scene.rows()["20261130"]
    assert (row["Subject"], row["Location"]) == ("Weekly", "Hall")
    assert {scene.rows()[n]["Location"] for n in ALL if n != "20261130"} == {"Room 1"}
    scene.idle()


def test_an_event_becomes_a_series_and_an_event_again(scene: Scene) -> None:
    scene.put(weekly("X-NOTHING:1", **{"20261102": "20261123"}))
    scene.sync()
    (id,) = ids(scene).values()
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=3", **{"20261102": "20261123"}))
    scene.sync()
    assert sorted(ids(scene)) == ["20261123", "20261130", "20261207"]
    assert ids(scene)["20261123"] == id
    scene.idle()
    scene.put(weekly("X-NOTHING:1", **{"20261102": "20261123"}))
    scene.sync()
    assert ids(scene) == {NAME: id}
    assert scene.events() == 1
    scene.idle()


def test_this_and_all_following_are_another_series(scene: Scene) -> None:
    """What calendars do: the old series ends, a new one begins."""
    scene.put(weekly())
    scene.sync()
    before = ids(scene)
    scene.put(weekly("RRULE:FREQ=WEEKLY;UNTIL=20261206T080000Z"))
    later = weekly(
        "RRULE:FREQ=WEEKLY;COUNT=3", **{"20261102": "20261207", "weekly@": "later@", "Room 1": "2"}
    )
    scene.put(later, name="later.ics")
    scene.sync()
    assert set(ids(scene)) == {
        *ALL[:3],
        "later.ics#20261207",
        "later.ics#20261214",
        "later.ics#20261221",
    }
    assert {n: id for n, id in ids(scene).items() if n in ALL} == {n: before[n] for n in ALL[:3]}
    assert scene.events() == 6
    scene.idle()


def test_a_series_that_is_deleted_takes_what_is_to_come_with_it(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY"))
    scene.sync()
    scene.wait(days=21)
    scene.sync()
    over = {n for n in scene.rows() if n < "20261206"}
    scene.house.servers["calendar"].remove(NAME)
    report = scene.sync()
    assert sum(c["held"] for c in report["cycles"]) == 0
    assert scene.events() == len(over)  # what has been stays in the CRM


def test_all_day(scene: Scene) -> None:
    day = weekly("RRULE:FREQ=DAILY;COUNT=40")
    day = day.replace(";TZID=Europe/Berlin:20261102T090000", ";VALUE=DATE:20261102")
    day = day.replace(";TZID=Europe/Berlin:20261102T100000", ";VALUE=DATE:20261103")
    scene.put(day)
    scene.sync()
    row = scene.rows()["20261124"]
    assert row["IsAllDayEvent"]
    assert starts(scene.rows())["20261124"] == "2026-11-24 00:00"
    scene.edit("20261124", Subject="Away")
    scene.delete("20261125")
    scene.sync()
    assert "RECURRENCE-ID;VALUE=DATE:20261124" in lines(scene.text())
    assert "EXDATE;VALUE=DATE:20261125" in lines(scene.text())
    scene.idle()


def test_undo_puts_an_occurrence_back(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=12"))
    scene.sync()
    scene.edit("20261130", Subject="Special")
    scene.sync()
    scene.delete("20261130")
    scene.delete("20261207")
    report = scene.sync()
    (cycle,) = [c["id"] for c in report["cycles"] if c["deleted"]]
    assert "SUMMARY:Special" not in lines(scene.text())
    scene.house.engine.undo(cycle)
    assert "EXDATE" not in scene.text()
    assert "SUMMARY:Special" in lines(scene.text())
    assert "X-CRMSYNC-UNCHANGED" not in scene.text()


def test_a_lost_cursor_makes_nothing_twice(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY"))
    scene.sync()
    scene.wait(days=30)
    scene.sync()
    known = ids(scene)
    scene.house.clock.tick(600)
    report = scene.house.engine.sync(full=True)
    assert report["errors"] == []
    assert ids(scene) == known
    assert report["writes"] == 0
    scene.house.engine.reconcile()
    assert ids(scene) == known
    scene.idle()


def test_an_occurrence_that_is_taken_out_while_the_cursor_is_lost(scene: Scene) -> None:
    """A whole listing names only what is there, and of a series, that an occurrence is missing proves nothing."""
    scene.put(weekly())
    scene.sync()
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=8\nEXDATE;TZID=Europe/Berlin:20261207T090000"))
    scene.house.clock.tick(600)
    assert scene.house.engine.sync(full=True)["errors"] == []
    scene.wait(minutes=2)
    scene.sync()
    assert sorted(scene.rows()) == [name for name in ALL if name != "20261207"]
    assert scene.house.engine.queue() == []
    scene.idle()


def test_what_cannot_be_counted_out_is_left_as_it_is(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=HOURLY;COUNT=3"))
    before = scene.text()
    scene.sync()
    assert scene.rows() == {}
    assert scene.text() == before
    scene.put(weekly("RRULE:FREQ=DAILY;COUNT=30"))
    scene.sync()
    count = scene.events()
    assert count == len(scene.rows()) > 10
    scene.put(weekly("RRULE:FREQ=HOURLY;COUNT=3"))
    scene.sync()
    assert scene.events() == count


def test_explain_says_where_a_series_is(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    told = scene.house.engine.explain(NAME)
    assert f"{NAME}#YEARMONTHDAY" in told["decisions"][-1]["reason"]
    assert scene.house.engine.explain(f"{NAME}#20261130")["linked"]
