"""Whatever a client sends, every row gets an outcome and the store stays whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crmsync.state.replica.faults import Fault, Rejected, Saved
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.records import chosen_fields, to_json
from tests.state.replica.conftest import Bench, make_bench

FIELDS = sorted({f.name for o in standard() for f in o.fields})
TEXT = st.text(st.characters(), max_size=300)  # surrogates and control characters included
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.just("2026-02-30")
    | st.just("9" * 400)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
BODIES = st.dictionaries(st.sampled_from(FIELDS) | TEXT, JSON, max_size=8)
NAMES = st.sampled_from(sorted(standard().objects)) | TEXT


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    path: Path = tmp_path_factory.mktemp("hostile")
    made = make_bench(path)
    yield made
    made.store.database.close()


SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(rows=st.lists(st.tuples(NAMES, BODIES), min_size=1, max_size=5), all_or_none=st.booleans())
def test_create_and_update(shared: Bench, rows: list[tuple[str, dict[str, Any]]], all_or_none: bool) -> None:
    outcomes = shared.store.create(shared.sync, rows, all_or_none=all_or_none)
    assert len(outcomes) == len(rows)
    assert all(isinstance(o, Saved) or o.faults for o in outcomes)
    contact = shared.create("Contact", LastName="x")
    updates = [("Contact", contact, body) for _, body in rows]
    assert all(isinstance(o, Saved) or o.faults for o in shared.store.update(shared.sync, updates))
    type_ = standard().objects["Contact"]
    shown = to_json(type_, shared.read(contact), chosen_fields(type_, None), "/services/data/v59.0")
    assert shown["attributes"]["type"] == "Contact"


@SETTINGS
@given(rows=st.lists(st.tuples(JSON, BODIES), min_size=1, max_size=4))
def test_upsert(shared: Bench, rows: list[tuple[Any, dict[str, Any]]]) -> None:
    outcomes = shared.store.upsert(shared.sync, "Task", "Crmsync_Id__c", rows)
    assert all(isinstance(o, Saved) or o.faults for o in outcomes)


@SETTINGS
@given(names=st.lists(TEXT, max_size=4), value=TEXT)
def test_ids_and_keys(shared: Bench, names: list[str], value: str) -> None:
    assume(standard().objects["Contact"].find(value) is None)  # texts of the code itself are tried, too
    assert all(isinstance(o, Rejected) for o in shared.store.delete(shared.sync, names))
    for call in (
        lambda: shared.store.retrieve(shared.sync, "Contact", [value]),
        lambda: shared.store.find(shared.sync, "Contact", "Crmsync_Id__c", value),
        lambda: shared.store.find(shared.sync, value, value, value),
        lambda: chosen_fields(standard().objects["Contact"], [value]),
    ):
        with pytest.raises(Fault):
            call()
