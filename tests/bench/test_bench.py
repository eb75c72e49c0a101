"""The bench's own parts: what its servers answer is what the figures rest on."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.conditions import Condition
from tests.bench.house import Counts, started, working
from tests.bench.later_syncs import later_syncs
from tests.bench.proxy import Counts as Passed
from tests.bench.proxy import _Requests as Requests
from tests.bench.record import joined, load, part_of, save
from tests.bench.replica import OBJECTS
from tests.bench.replication import both
from tests.bench.report import page, plot
from tests.bench.scene import LOGIN_FORM, scene
from tests.bench.terms import QUICK, Bar, Figure, Results

ROWS = [
    {"Id": "1", "Email": "Ada@example.com", "Stamp": "2026-01-01T00:00:00.000+0000", "IsDeleted": False},
    {"Id": "2", "Email": None, "Stamp": "2026-01-02T00:00:00.000+0000", "IsDeleted": True},
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", "12"),
        ("Id IN ('1','3')", "1"),
        ("(Email = 'ada@EXAMPLE.com') OR (Id = '2')", "12"),
        ("Stamp >= 2026-01-02T00:00:00.000Z", "2"),
        ("(IsDeleted = false) AND (Id IN ('1','2'))", "1"),
        ("Email = null", "2"),
    ],
)
def test_conditions(text: str, ids: str) -> None:
    index = {"Id": {r["Id"]: {r["Id"]: r} for r in ROWS}}
    assert "".join(r["Id"] for r in Condition(text).rows(ROWS, index)) == ids


def test_the_proxy_finds_requests_in_pieces_and_says_what_they_are_for() -> None:
    sent = (
        b"PUT /a/1.vcf HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        b"REPORT /a/ HTTP/1.1\r\ncontent-length: 10\r\n\r\n<multiget>"
        b"REPORT /a/ HTTP/1.1\r\ncontent-length: 10\r\n\r\n<multiget>"
    )
    requests, counts = Requests(), Passed()
    for at in range(len(sent)):
        for head, body in requests.feed(sent[at : at + 1]):
            counts.note(head, body)
    assert counts.purposes == {"PUT": 1, "read back": 1, "REPORT multiget": 1}


def test_counts_add_up() -> None:
    both = Counts({"PUT": 1, "GET": 2}, {"GET": 10}) + Counts({"PUT": 2}, {"PUT": 5})
    assert (both.requests, both.writes, both.bytes) == (5, 3, 15)


@pytest.mark.server
def test_the_service_and_the_floor_do_the_same_work() -> None:
    with scene(count=True) as stage:
        stage.fill(0, 5)
        first = stage.run()
        assert (first.told["created"], first.dav.purposes["PUT"]) == (5, 5)
        stage.settle()
        assert stage.run().all.writes == 0
        stage.fill(1, 2, edit=1)
        assert stage.run().told["updated"] == 1
        stage.drop(0, 1)
        assert stage.run().told["deleted"] == 1
        assert stage.crm.ask("/_bench/state") == {"items": 4}
    with started("dav_server") as dav, started("crm_server") as crm, working("floor") as floor:
        floor.ask("login", book=f"{dav.url}/a0/", crm=crm.url, form=LOGIN_FORM)
        dav.ask("/_bench/fill?book=/a0/&from=0&to=5")
        assert floor.ask("first_sync")["requests"] == 1 + 1 + 1 + 5
        assert crm.ask("/_bench/state") == {"items": 5}
        assert dav.ask("/_bench/state?book=/a0/") == {"items": 5, "changes": 10}


@pytest.mark.server
def test_later_syncs_do_not_grow_and_do_not_fetch_what_they_wrote() -> None:
    """What depends on counts alone; the bench, which has the machine for itself, looks at times as well."""
    results = Results(say=lambda line: None)
    later_syncs(results, replace(QUICK, idle=(500, 600)))
    echoes = [f for f in results.figures if f.what.startswith("our own echo")]
    assert [f.met for f in echoes] == [True] * 4, echoes
    grown = [f.measured for f in results.figures if f.what.endswith("grown")]
    assert [m.split(" requests")[0] for m in grown] == ["2 and 2", "5 and 5", "5 and 5"], grown


def test_the_memory_of_a_replica_does_not_grow_with_its_rows() -> None:
    """Less exact than the bench, which has the machine for itself: without bounds it would be ten times as much."""
    few, many = both(20_000)
    assert many.first["peak"] < 1.5 * few.first["peak"]
    assert many.second["requests"] <= 3 * len(OBJECTS) + 2


def test_the_page_names_what_was_missed() -> None:
    results = Results(say=lambda line: None)
    results.add(Figure("first sync", "10 contacts", "2 x", "1.5 x", False))
    results.add(Figure("idle", "10", "1"))
    text = page({"memory": part_of(results, "2026-01-02", "small", "a machine")}, 0.4)
    assert "| first sync | 10 contacts | 2 x | 1.5 x | **missed** |" in text
    assert "| memory | 2026-01-02 | small | a machine |" in text


def test_a_part_that_is_measured_anew_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "performance.json"
    assert load(file) == {}
    measured = Results(say=lambda line: None, bars=[Bar("10 contacts", "crmsync", 1.2)], floor_cpu={"a": 0.1})
    measured.add(Figure("first sync", "10 contacts", "2 x", "1.5 x", False, "details"))
    first = {name: part_of(measured, "2026-01-02", "large", "a machine") for name in ("memory", "later")}
    save(file, first)
    assert load(file) == first
    save(file, {**load(file), "later": part_of(measured, "2026-01-03", "small", "another")})
    assert [(n, p.day, p.size) for n, p in load(file).items()] == [
        ("memory", "2026-01-02", "large"),
        ("later", "2026-01-03", "small"),
    ]
    assert joined(load(file).values()).figures == measured.figures * 2


def test_the_plot_is_an_image() -> None:
    from lxml import etree

    drawn = plot([Bar("10 contacts", "crmsync", 1.2), Bar("10 contacts", "vdirsyncer", 20.0)])
    assert etree.fromstring(drawn.encode()).tag == "{http://www.w3.org/2000/svg}svg"
