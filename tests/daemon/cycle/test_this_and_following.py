"""This and all later dates of a series: a part with RANGE=THISANDFUTURE, and a second series."""

import pytest

from tests.daemon.cycle.test_series import NAME, Scene, ids, lines, own, scene, starts, weekly

__all__ = ["scene"]
LATER = own(
    "20261207",
    "DTSTART;TZID=Europe/Berlin:20261207T110000",
    "DTEND;TZID=Europe/Berlin:20261207T120000",
    "SUMMARY:Jour fixe, later",
).replace("RECURRENCE-ID;", "RECURRENCE-ID;RANGE=THISANDFUTURE;")
SECOND = "second.ics"


def ended() -> str:
    return weekly("RRULE:FREQ=WEEKLY;UNTIL=20261201T000000Z")


def second(**other: str) -> str:
    text = weekly("RRULE:FREQ=WEEKLY;COUNT=3", **other).replace("UID:weekly", "UID:second")
    return text.replace("20261102T", "20261207T")


def test_a_part_for_this_and_all_later_ones_is_each_of_them(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    known = ids(scene)
    scene.put(weekly(), LATER)
    before = scene.text()
    scene.sync()
    assert ids(scene) == known
    subjects = {name: row["Subject"] for name, row in scene.rows().items()}
    assert subjects == {n: "Jour fixe, later" if n >= "20261207" else "Jour fixe" for n in known}
    assert starts(scene.rows())["20261221"] == "2026-12-21 10:00"
    assert scene.text() == before
    scene.idle()


@pytest.mark.parametrize("name", ["20261130", "20261207", "20261214"])
def test_an_edit_of_one_of_them_comes_back_to_it_alone(scene: Scene, name: str) -> None:
    scene.put(weekly(), LATER)
    scene.sync()
    before = {n: (r["Subject"], r["StartDateTime"]) for n, r in scene.rows().items()}
    assert scene.house.edit(scene.house.pairs()[f"{NAME}#{name}"], {"Location": "Room 9"}) == ""
    scene.sync()
    scene.idle()
    assert scene.text().count("LOCATION:Room 9") == 1
    assert {n: (r["Subject"], r["StartDateTime"]) for n, r in scene.rows().items()} == before
    assert [n for n, r in scene.rows().items() if r["Location"] == "Room 9"] == [name]
    scene.house.clock.tick(600)
    assert scene.house.engine.sync(full=True)["writes"] == 0


def test_one_that_is_deleted_leaves_the_later_ones(scene: Scene) -> None:
    scene.put(weekly(), LATER)
    scene.sync()
    store = scene.house.crm.crm.store
    pair = scene.house.pairs()[f"{NAME}#20261207"]
    store.delete(store.caller(scene.house.crm.alice.id), [pair.crm_id])
    scene.sync()
    scene.idle()
    assert starts(scene.rows())["20261214"] == "2026-12-14 10:00"
    assert "20261207" not in scene.rows()
    assert any(line.startswith("EXDATE") for line in lines(scene.text()))


@pytest.mark.parametrize("changed", [{"at": "T110000", "until": "T120000"}, {"Jour fixe": "Weekly"}])
def test_a_series_split_in_two_keeps_its_records(scene: Scene, changed: dict[str, str]) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=8"))
    scene.sync()
    known = ids(scene)
    scene.put(ended())
    scene.put(second(**changed), name=SECOND)
    scene.sync()
    scene.idle()
    now = {item.partition("#")[2]: pair.crm_id for item, pair in scene.house.pairs().items()}
    assert now == known
    assert scene.events() == len(known)
    assert {i for i in scene.house.pairs() if i.startswith(SECOND)} == {
        f"{SECOND}#{day}" for day in ("20261207", "20261214", "20261221")
    }
    pair = scene.house.pairs()[f"{SECOND}#20261214"]
    assert scene.house.edit(pair, {"Location": "Room 9"}) == ""
    before = scene.text()
    scene.sync()
    scene.idle()
    assert scene.text() == before
    assert "LOCATION:Room 9" in scene.text(SECOND)


def test_two_series_of_which_one_ends_are_not_one(scene: Scene) -> None:
    scene.put(weekly("RRULE:FREQ=WEEKLY;COUNT=8"))
    scene.sync()
    scene.put(ended())
    other = second(**{"Jour fixe": "Other", "at": "T150000", "until": "T160000"})
    scene.put(other, name=SECOND)
    before = ids(scene)
    scene.sync()
    assert not set(before.values()) & {
        p.crm_id for i, p in scene.house.pairs().items() if i.startswith(SECOND)
    }
