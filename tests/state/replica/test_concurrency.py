"""Many threads, two processes' worth of connections: nothing is lost, nothing locks up."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crmsync.state.replica.access import Access
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Saved
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.store import Store
from tests.state.replica.conftest import Bench, make_bench


def test_writers_take_turns(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    other = Database(f"sqlite:///{tmp_path / 'crm.db'}", standard(), durable=False)
    stores = [bench.store, Store(other, clock=bench.clock, access=Access())]
    contact = bench.create("Contact", LastName="shared", Description="")

    def work(number: int) -> str:
        store = stores[number % 2]
        created = store.create(bench.sync, [("Contact", {"LastName": f"c{number}"})])[0]
        assert isinstance(created, Saved)
        for phone in range(3):
            assert isinstance(
                store.update(bench.sync, [("Contact", contact, {"Phone": str(phone)})])[0], Saved
            )
            assert store.read(bench.sync, "Contact", created.id)["LastName"] == f"c{number}"
        return created.id

    with ThreadPoolExecutor(8) as pool:
        created_ids = list(pool.map(work, range(24)))
    assert len(set(created_ids)) == 24
    bench.store.database.close()
    other.close()


def test_one_upsert_wins_and_the_others_update(bench: Bench) -> None:
    def upsert(number: int) -> Saved:
        rows = [("the key", {"LastName": str(number)})]
        outcome = bench.store.upsert(bench.sync, "Contact", "Crmsync_Id__c", rows)[0]
        assert isinstance(outcome, Saved)
        return outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(upsert, range(16)))
    assert len({outcome.id for outcome in outcomes}) == 1
    assert [outcome.created for outcome in outcomes].count(True) == 1
