"""No query takes the service down: it ends in time, and its answer has an end."""

import pytest

from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import Queries
from crmsync.state.replica.soql.run import run
from tests.state.replica.conftest import Bench

SLOW = " AND ".join(f"(NOT Company LIKE '%a%b%c%{n}%')" for n in range(60))


@pytest.fixture
def crowd(bench: Bench) -> Bench:
    rows = [("Lead", {"LastName": f"l{n}", "Company": "abc" * 60}) for n in range(2_000)]
    bench.store.create(bench.sync, rows)
    return bench


@pytest.mark.parametrize("selected", ["COUNT()", "Id", "MAX(Company)"])
def test_a_query_ends_in_time(crowd: Bench, selected: str) -> None:
    queries = Queries(crowd.store, clock=crowd.clock, seconds=0.001)
    with pytest.raises(Fault) as refused:
        queries.query(crowd.sync, f"SELECT {selected} FROM Lead WHERE {SLOW}", "")
    assert refused.value.code == "QUERY_TIMEOUT"
    again = Queries(crowd.store, clock=crowd.clock).query(crowd.sync, "SELECT COUNT() FROM Lead", "")
    assert again.total == 2_000
    queries.close()


def test_reading_an_answer_ends_in_time(crowd: Bench) -> None:
    ticks = iter(range(1_000_000))
    queries = Queries(crowd.store, clock=crowd.clock, seconds=100, monotonic=lambda: float(next(ticks)))
    with pytest.raises(Fault, match="QUERY_TIMEOUT"):
        queries.query(crowd.sync, "SELECT Id FROM Lead", "")
    assert len(list(queries.query(crowd.sync, "SELECT Id FROM Lead LIMIT 10", "").records)) > 0


def test_children_of_one_page_have_an_end(crowd: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    account = crowd.create("Account", Name="a")
    crowd.store.create(crowd.sync, [("Contact", {"LastName": "c", "AccountId": account}) for _ in range(11)])
    queries = Queries(crowd.store, clock=crowd.clock)
    soql = "SELECT Id, (SELECT Id FROM Contacts) FROM Account"
    assert queries.query(crowd.sync, soql, "").total == 1
    monkeypatch.setitem(run.__globals__, "MOST_CHILDREN", 10)
    with pytest.raises(Fault, match="OPERATION_TOO_LARGE"):
        queries.query(crowd.sync, soql, "")
