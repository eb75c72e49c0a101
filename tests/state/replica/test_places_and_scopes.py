"""DISTANCE and USING SCOPE against rows, on both databases."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import Queries
from tests.state.replica.conftest import Bench

CITIES = {
    "Cologne": (50.9375, 6.9603),
    "Paris": (48.8566, 2.3522),
    "Sydney": (-33.8688, 151.2093),
    "nowhere": None,
}
COLOGNE = "GEOLOCATION(50.9375, 6.9603)"


@pytest.fixture
def queries(bench: Bench) -> Iterator[Queries]:
    made = Queries(bench.store, clock=bench.clock)
    yield made
    made.close()


@pytest.fixture
def cities(bench: Bench) -> None:
    for name, place in CITIES.items():
        there = dict(zip(("MailingLatitude", "MailingLongitude"), place, strict=True)) if place else {}
        bench.create("Contact", LastName=name, **there)


def ask(queries: Queries, caller: Caller, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(queries.query(caller, text, "").records)
    return rows


def far(one: tuple[float, float], other: tuple[float, float]) -> float:
    """By the angle between two vectors, in kilometres: another way than the one under test."""

    def vector(place: tuple[float, float]) -> tuple[float, float, float]:
        north, east = map(math.radians, place)
        return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)

    return 6371.0088 * math.acos(sum(a * b for a, b in zip(vector(one), vector(other), strict=True)))


@pytest.mark.usefixtures("cities")
def test_distances(bench: Bench, queries: Queries) -> None:
    away = f"DISTANCE(MailingAddress, {COLOGNE}, 'km')"
    near = ask(
        queries, bench.sync, f"SELECT LastName, {away} km FROM Contact WHERE {away} < 500 ORDER BY {away}"
    )
    assert [row["LastName"] for row in near] == ["Cologne", "Paris"]
    assert near[0]["km"] == pytest.approx(0)
    assert near[1]["km"] == pytest.approx(far(CITIES["Cologne"], CITIES["Paris"]), rel=1e-6)  # type: ignore[arg-type]
    beyond = (
        f"SELECT LastName, {away.replace('km', 'MI')} FROM Contact WHERE NOT {away} < 500 ORDER BY LastName"
    )
    rows = ask(queries, bench.sync, beyond)
    assert [row["LastName"] for row in rows] == ["Sydney", "nowhere"] or [
        row["LastName"] for row in rows
    ] == [
        "nowhere",
        "Sydney",
    ]
    found = {row["LastName"]: row["expr0"] for row in rows}
    assert found["nowhere"] is None
    assert found["Sydney"] == pytest.approx(far(CITIES["Cologne"], CITIES["Sydney"]) / 1.609344, rel=1e-6)  # type: ignore[arg-type]


def test_the_other_side_of_the_earth(bench: Bench, queries: Queries) -> None:
    bench.create("Contact", LastName="there", MailingLatitude=-50.9375, MailingLongitude=-173.0397)
    (row,) = ask(queries, bench.sync, f"SELECT DISTANCE(MailingAddress, {COLOGNE}, 'km') d FROM Contact")
    assert row["d"] == pytest.approx(math.pi * 6371.0088)


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("DISTANCE(MailingAddress, GEOLOCATION(91, 0), 'km') < 1", "MALFORMED_QUERY"),
        ("DISTANCE(MailingAddress, GEOLOCATION(0, 181), 'km') < 1", "MALFORMED_QUERY"),
        ("DISTANCE(MailingAddress, GEOLOCATION(0, 0), 'feet') < 1", "MALFORMED_QUERY"),
        ("DISTANCE(MailingAddress, GEOLOCATION(0, 0), 'km') = 1", "INVALID_QUERY_FILTER_OPERATOR"),
        ("DISTANCE(MailingCity, GEOLOCATION(0, 0), 'km') < 1", "INVALID_FIELD"),
        ("DISTANCE(Owner.Nothing, GEOLOCATION(0, 0), 'km') < 1", "INVALID_FIELD"),
    ],
)
def test_distances_that_are_none(bench: Bench, queries: Queries, condition: str, code: str) -> None:
    with pytest.raises(Fault) as refused:
        ask(queries, bench.sync, f"SELECT Id FROM Contact WHERE {condition}")
    assert refused.value.code == code


def test_scopes(bench: Bench, queries: Queries) -> None:
    bench.store.create(
        bench.alice,
        [("Task", {"Subject": "own"}), ("Task", {"Subject": "given", "OwnerId": bench.bob.user_id})],
    )
    bench.store.create(bench.bob, [("Task", {"Subject": "bob's"})])

    def subjects(scope: str) -> list[str]:
        text = f"SELECT Subject FROM Task USING SCOPE {scope} ORDER BY Subject"
        return [row["Subject"] for row in ask(queries, Caller(bench.alice.user_id, all_records=True), text)]

    assert subjects("mine") == subjects("team") == ["own"]
    assert subjects("delegated") == ["given"]
    assert subjects("mru") == ["given", "own"]
    assert subjects("scopingRule") == subjects("everything") == ["bob's", "given", "own"]
    assert subjects("queue_owned") == []
    for scope, name in (("delegated", "Account"), ("my_territory", "Account"), ("mine", "User")):
        with pytest.raises(Fault, match=f"USING SCOPE {scope} is not supported for {name}"):
            ask(queries, bench.sync, f"SELECT Id FROM {name} USING SCOPE {scope}")
