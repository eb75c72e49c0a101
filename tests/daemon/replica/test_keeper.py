"""A replica in the service: its modes, with and without the CRM, and who may be at it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Refused
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.calls import Failure
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode, acting
from crmsync.state.errors import Locked
from crmsync.state.locks import FileLocks
from crmsync.state.replica.faults import Fault
from tests.daemon.replica.bench import OBJECTS, Bench


class Cable:
    """Between the keeper and the bench's upstream; a test can pull it."""

    def __init__(self, upstream: Any) -> None:
        self._upstream = upstream
        self.pulled = False
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._upstream, name)
        if name in ("clock_offset", "requests"):
            return found

        def call(*arguments: Any) -> Any:
            self.asked += 1
            if self.pulled:
                raise Unreachable("nobody answers")
            return found(*arguments)

        return call


@pytest.fixture
def cable(bench: Bench) -> Cable:
    return Cable(bench.between)


@pytest.fixture
def keeper(bench: Bench, cable: Cable, tmp_path: Path) -> Iterator[Keeper]:
    settings = Settings(OBJECTS)
    made = Keeper("main", tmp_path / "kept.db", settings, lambda: cable, now=bench.clock, durable=False)
    yield made
    made.close()


@pytest.fixture
def filled(bench: Bench, keeper: Keeper) -> Callable[[], Any]:
    account = bench.there_create("Account", Name="Acme", Phone="1")
    keeper.sync()
    return account


@pytest.mark.parametrize(
    ("wanted", "trouble", "acts"),
    [
        (Mode.AUTO, "", Mode.HYBRID),
        (Mode.AUTO, "unreachable", Mode.OFFLINE),
        (Mode.AUTO, "throttled", Mode.OFFLINE),
        (Mode.AUTO, "login_refused", Mode.HYBRID),
        (Mode.HYBRID, "unreachable", Mode.HYBRID),
        (Mode.ONLINE, "unreachable", Mode.ONLINE),
        (Mode.OFFLINE, "", Mode.OFFLINE),
    ],
)
def test_how_it_acts(wanted: Mode, trouble: str, acts: Mode):
    assert acting(wanted, trouble) is acts


def test_hybrid_writes_through(bench: Bench, keeper: Keeper, filled: str):
    keeper.update(filled, {"Phone": "2"})
    assert bench.there("Account")[filled]["Phone"] == "2"
    made = keeper.create("Contact", {"LastName": "Lovelace", "AccountId": filled})
    assert bench.there("Contact")[made]["AccountId"] == filled
    keeper.delete(made[:15])
    assert bench.there("Contact") == {}


def test_hybrid_reads_here(bench: Bench, keeper: Keeper, cable: Cable, filled: str):
    bench.clock.advance(minutes=1)
    bench.there_update(filled, Phone="3")
    asked = cable.asked
    assert keeper.read(filled)["Phone"] == "1"
    assert cable.asked == asked


def test_online_reads_there(bench: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    bench.clock.advance(minutes=1)
    bench.there_update(filled, Phone="3")
    assert keeper.read(filled[:15])["Phone"] == "3"


def test_online_looks_once_more_before_an_edit(bench: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    bench.clock.advance(minutes=1)
    bench.there_update(filled, Phone="3", Fax="3")
    keeper.update(filled, {"Phone": "4"})  # in sight of what stands there: no conflict
    there = bench.there("Account")[filled]
    assert (there["Phone"], there["Fax"]) == ("4", "3")
    with keeper.database.read() as work:
        assert work.where(work.shared.conflicts) == []


def test_what_is_deleted_there_cannot_be_edited_online(bench: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    bench.there_delete(filled)
    with pytest.raises(Fault):
        keeper.update(filled, {"Phone": "4"})


def test_the_network_goes_and_comes_back(
    bench: Bench, keeper: Keeper, cable: Cable, filled: str, caplog: Any
):
    cable.pulled = True
    keeper.update(filled, {"Phone": "2"})
    assert keeper.acting() is Mode.OFFLINE
    assert keeper.read(filled)["Phone"] == "2"
    asked = cable.asked
    keeper.update(filled, {"Fax": "2"})
    assert cable.asked == asked  # nobody waits for a time-out with every edit
    cable.pulled = False
    keeper.sync()
    assert keeper.acting() is Mode.HYBRID
    there = bench.there("Account")[filled]
    assert (there["Phone"], there["Fax"]) == ("2", "2")
    said = [getattr(r, "action", "") for r in caplog.records]
    assert said.count("replica.away") == 1


def test_offline_asks_nobody(bench: Bench, keeper: Keeper, cable: Cable, filled: str):
    keeper.choose_mode(Mode.OFFLINE)
    asked = cable.asked
    keeper.update(filled, {"Phone": "2"})
    with pytest.raises(Failure, match="is to work offline"):
        keeper.sync()
    assert cable.asked == asked
    keeper.choose_mode(None)
    keeper.sync()
    assert bench.there("Account")[filled]["Phone"] == "2"


def test_a_change_that_has_to_go_through_is_taken_back(
    bench: Bench, keeper: Keeper, cable: Cable, filled: str
):
    keeper.choose_mode(Mode.HYBRID)
    cable.pulled = True
    with pytest.raises(Unreachable):
        keeper.update(filled, {"Phone": "2"})
    assert keeper.read(filled)["Phone"] == "1"


def test_what_the_crm_refuses_is_refused_at_once(bench: Bench, keeper: Keeper, filled: str):
    bench.between.refuse = lambda verb, name, row: Refused("", "forbidden", "not on a Sunday")
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.update(filled, {"Phone": "2"})
    assert keeper.read(filled)["Phone"] == "1"
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.create("Contact", {"LastName": "Lovelace"})
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.delete(filled)
    assert keeper.read(filled)["Name"] == "Acme"


def test_one_at_a_time(bench: Bench, keeper: Keeper, filled: str):
    with FileLocks(keeper.file, bench.clock).replica():
        with pytest.raises(Locked, match="the replica is busy: process"):
            keeper.sync()
        keeper.update(filled, {"Phone": "2"})  # whoever is at it, or the next pass, sends it
    assert bench.there("Account")[filled]["Phone"] == "1"
    keeper.sync()
    assert bench.there("Account")[filled]["Phone"] == "2"


def test_only_some_fields(bench: Bench, cable: Cable, tmp_path: Path):
    settings = replace(Settings(("Account",)), wanted={"Account": frozenset({"Phone"})})
    keeper = Keeper("main", tmp_path / "some.db", settings, lambda: cable, now=bench.clock, durable=False)
    account = bench.there_create("Account", Name="Acme", Phone="1", Fax="1")
    keeper.sync()
    row = keeper.read(account)
    assert (row["Name"], row["Phone"]) == ("Acme", "1")  # an account cannot be made without a name
    assert "Fax" not in row
    keeper.close()


def test_the_stages_of_a_pass_are_told(keeper: Keeper):
    seen = []
    keeper.sync(lambda stage, what: seen.append(keeper.stages.shown()))
    assert [s["stage"] for s in seen][:3] == ["session", "describe", "window"]
    assert seen[-1]["number"] == seen[-1]["of"]
    assert keeper.stages.shown() is None
    assert keeper.stages.seconds()["describe"] > 0
