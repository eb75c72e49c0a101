"""A create whose answer was lost, when the object has to be read anew before it is known what became of it."""

from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.errors import Unreachable
from tests.daemon.replica.bench import Bench


def lose_the_answer(bench: Bench) -> None:
    def lost(verb: str, table: str, answered: Any) -> None:
        bench.between.after = lambda *_: None
        raise Unreachable("the answer is lost")

    bench.between.after = lost
    with pytest.raises(Unreachable):
        bench.run()


def test_it_is_found_and_not_made_twice(bench: Bench, tmp_path: Path):
    bench.run()
    known = bench.there_create("Account", Name="Known")
    made = bench.replica.create("Account", {"Name": "Acme", "Phone": "1"})
    lose_the_answer(bench)
    bench.replica.update(made, {"Phone": "2"})
    with bench.database.write() as work:  # as after a change of the schema
        work.set_property("window", None)
        work.set_property("refill", ["Account"])
    bench.run()
    rows = bench.there("Account")
    assert sorted((row["Name"], row["Phone"]) for row in rows.values()) == [("Acme", "2"), ("Known", None)]
    assert known in rows
    bench.assert_equal()
    assert bench.work() == {}
