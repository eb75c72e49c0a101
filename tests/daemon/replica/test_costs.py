"""What a pass costs: requests by what there is to do, memory not by what there is. Counted, not timed."""

import pytest

from crmsync.connectors.salesforce.client import Client
from crmsync.state.replica.local.difference import Policy
from tests.daemon.replica.bench import OBJECTS, Bench


def test_a_pass_without_changes_sends_three_requests_per_object_and_two_besides(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    bench.there_create("Contact", LastName="Ada", AccountId=account)
    bench.run()
    for again in (False, True):
        if again:
            bench.reopen()  # with the login
        before = bench.crm.crm.usage.total
        tally = bench.run()
        assert tally.passes == 1
        assert tally.requests <= 3 * len(OBJECTS) + 2
        assert bench.crm.crm.usage.total - before <= 3 * len(OBJECTS) + 2


def test_so_does_a_pass_with_a_held_conflict(bench: Bench):
    bench.policy = Policy.HOLD
    bench.reopen()
    account = bench.there_create("Account", Name="Acme", Phone="1")
    bench.run()
    bench.replica.update(account, {"Phone": "2"})
    bench.there_update(account, Phone="3")
    bench.run()
    assert bench.run().requests <= 3 * len(OBJECTS) + 2
    assert [w.state for w in bench.replica.waiting()] == ["held"]


class _Counted(dict):
    """A row of an answer; the most that were alive at a time is what a pass needs of memory."""

    alive = most = 0

    def __init__(self, row):
        super().__init__(row)
        _Counted.alive += 1
        _Counted.most = max(_Counted.most, _Counted.alive)

    def __del__(self):
        _Counted.alive -= 1


class _SmallPages(Client):
    def get(self, path, what, headers=None):
        return super().get(path, what, {"Sforce-Query-Options": "batchSize=200", **(headers or {})})


@pytest.mark.parametrize("again", [False, True])
def test_no_more_than_two_pages_of_an_object_are_in_memory(bench: Bench, again: bool):
    """`again`: not straight into main."""
    bench.objects, bench.client = ("Account",), _SmallPages
    bench.reopen()
    if again:
        bench.run()
    rows = [("Account", {"Name": f"Account {i}"}) for i in range(1000)]
    for start in range(0, len(rows), 200):
        bench.crm.crm.store.create(bench.caller, rows[start : start + 200])
    real = bench.between.modified

    def counted(*arguments):
        for page in real(*arguments):
            yield [_Counted(row) for row in page]

    bench.between.modified = counted
    _Counted.alive = _Counted.most = 0
    bench.run()
    assert 200 <= _Counted.most <= 400
    bench.assert_equal()
    assert bench.work() == {}
