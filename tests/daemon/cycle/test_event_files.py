"""The files of an event: over a server that stores exactly, into the embedded CRM."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpora.house import house
from tests.daemon.cycle.test_attendees import Scene
from tests.daemon.cycle.test_series import Scene as Repeating
from tests.daemon.cycle.test_series import own, weekly
from tests.servers.quirky import Reply, Request

PLAN = b"the plan, v2"


def inline(name: str, content: bytes) -> str:
    told = base64.b64encode(content).decode()
    return f"ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY;X-FILENAME={name}:{told}"


LARGE = inline("large.txt", b"x" * 5000)
LINK = "ATTACH;FMTTYPE=application/pdf:https://files.example.com/a/terms%20of%20use.pdf?x=1"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path) as made:
        yield Scene(made)


def files(scene: Scene) -> dict[str, str]:
    rows = scene.rows("SELECT Id, Name FROM Attachment")
    return {row["Name"]: content(scene, row["Id"]) for row in rows}


def content(scene: Scene, id: str) -> str:
    return base64.b64decode(scene.store.read(scene.caller, "Attachment", id)["Body"]).decode()


def test_a_file_travels_with_its_event(scene: Scene) -> None:
    scene.put(inline('"plan v2.txt"', PLAN))
    scene.settle()
    assert files(scene) == {"plan v2.txt": PLAN.decode()}
    scene.house.clock.tick(600)
    assert scene.house.engine.sync(full=True)["writes"] == 0


def test_what_comes_later_follows_and_what_is_taken_out_goes(scene: Scene) -> None:
    scene.put(inline("one.txt", b"one"))
    scene.settle()
    scene.add("Attachment", ParentId=scene.event, Name="theirs.txt", Body=base64.b64encode(b"own").decode())
    scene.put(inline("one.txt", b"one"), inline("two.txt", b"two"))
    scene.settle()
    assert files(scene) == {"one.txt": "one", "two.txt": "two", "theirs.txt": "own"}
    scene.put(inline("two.txt", b"two"))
    scene.settle()
    assert files(scene) == {"two.txt": "two", "theirs.txt": "own"}
    assert "theirs" not in scene.text()


def test_what_stands_elsewhere_is_named(scene: Scene) -> None:
    scene.put(LINK)
    scene.settle()
    ((name, text),) = files(scene).items()
    assert name == "terms of use.pdf (not copied).txt"
    assert "https://files.example.com/a/terms%20of%20use.pdf?x=1" in text


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    with house(tmp_path, calendar='max_attachment = "4 KB"') as made:
        scene = Scene(made)
        scene.put(inline("plan.txt", PLAN), LARGE)
        scene.settle()
        found = files(scene)
        assert found.keys() == {"plan.txt", "large.txt (not copied).txt"}
        assert "5 KB" in found["large.txt (not copied).txt"]
        assert "larger than 4 KB" in found["large.txt (not copied).txt"]
        scene.put(inline("plan.txt", PLAN))
        scene.settle()
        assert files(scene).keys() == {"plan.txt"}


def test_what_its_own_server_keeps_is_fetched_there(scene: Scene) -> None:
    def answer(request: Request) -> Reply | None:
        return Reply(200, PLAN) if request.method == "GET" and request.path == "/files/plan.txt" else None

    scene.server.before = answer
    scene.put(f"ATTACH;MANAGED-ID=1;SIZE={len(PLAN)};FILENAME=plan.txt:/files/plan.txt")
    scene.settle()
    assert files(scene) == {"plan.txt": PLAN.decode()}


def test_of_another_server_nothing_is_fetched(scene: Scene) -> None:
    scene.put("ATTACH;MANAGED-ID=1;SIZE=12;FILENAME=plan.txt:http://127.0.0.1:1/files/plan.txt")
    scene.settle()
    assert files(scene).keys() == {"plan.txt (not copied).txt"}


def test_files_of_a_series_stay_with_it_and_those_of_a_date_travel(scene: Scene) -> None:
    given = Repeating(scene.house)
    one = own(
        "20261207",
        "DTSTART;TZID=Europe/Berlin:20261207T090000",
        "DTEND;TZID=Europe/Berlin:20261207T100000",
        "SUMMARY:Jour fixe",
        inline("own.txt", b"own"),
    )
    given.put(weekly("RRULE:FREQ=WEEKLY;COUNT=8\n" + inline("series.txt", b"all")), one)
    given.sync()
    given.idle()
    assert files(scene) == {
        "own.txt": "own",
        "series.txt (not copied).txt": "series.txt: stays with the series in the calendar.\n",
    }


def test_a_masked_event_has_no_files(tmp_path: Path) -> None:
    with house(tmp_path, private="mask") as made:
        scene = Scene(made)
        scene.put("CLASS:PRIVATE", inline("plan.txt", PLAN))
        scene.settle()
        assert files(scene) == {}
        scene.put(inline("plan.txt", PLAN))
        scene.settle()
        assert files(scene).keys() == {"plan.txt"}
        scene.put("CLASS:PRIVATE", inline("plan.txt", PLAN))
        scene.settle()
        assert files(scene) == {}
