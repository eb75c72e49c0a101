"""A replica in the service: its modes, with and without the CRM, and who may be at it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from crmsync.connectors.contract import Refused
from crmsync.connectors.errors import AuthExpired, ProtocolError, Unreachable
from crmsync.daemon.calls import Failure
from crmsync.daemon.operations import permission
from crmsync.daemon.replica import standing
from crmsync.daemon.replica.context import Stage
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode, acting
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.serving import Passes
from crmsync.state.errors import Locked
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.database import ForeignLogin
from tests.daemon.replica.bench import OBJECTS, Bench, Cable


@pytest.fixture
def cable(shared: Bench) -> Cable:
    return Cable(shared.between)


@pytest.fixture
def keeper(shared: Bench, cable: Cable, tmp_path: Path) -> Iterator[Keeper]:
    settings = Settings(OBJECTS)
    made = Keeper("main", tmp_path / "kept.db", settings, lambda: cable, now=shared.clock, durable=False)
    yield made
    made.close()


@pytest.fixture
def filled(shared: Bench, keeper: Keeper) -> Callable[[], Any]:
    account = shared.there_create("Account", Name="Acme", Phone="1")
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


def test_hybrid_writes_through(shared: Bench, keeper: Keeper, filled: str):
    keeper.update(filled, {"Phone": "2"})
    assert shared.there("Account")[filled]["Phone"] == "2"
    made = keeper.create("Contact", {"LastName": "Lovelace", "AccountId": filled})
    assert shared.there("Contact")[made]["AccountId"] == filled
    keeper.delete(made[:15])
    assert made not in shared.there("Contact")


def test_hybrid_reads_here(shared: Bench, keeper: Keeper, cable: Cable, filled: str):
    shared.clock.advance(minutes=1)
    shared.there_update(filled, Phone="3")
    asked = cable.asked
    assert keeper.read(filled)["Phone"] == "1"
    assert cable.asked == asked


def test_online_reads_there(shared: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    shared.clock.advance(minutes=1)
    shared.there_update(filled, Phone="3")
    assert keeper.read(filled[:15])["Phone"] == "3"


def test_online_looks_once_more_before_an_edit(shared: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    shared.clock.advance(minutes=1)
    shared.there_update(filled, Phone="3", Fax="3")
    keeper.update(filled, {"Phone": "4"})  # in sight of what stands there: no conflict
    there = shared.there("Account")[filled]
    assert (there["Phone"], there["Fax"]) == ("4", "3")
    with keeper.database.read() as work:
        assert work.where(work.shared.conflicts) == []


def test_what_is_deleted_there_cannot_be_edited_online(shared: Bench, keeper: Keeper, filled: str):
    keeper.choose_mode(Mode.ONLINE)
    shared.there_delete(filled)
    with pytest.raises(Fault):
        keeper.update(filled, {"Phone": "4"})


def test_the_network_goes_and_comes_back(
    shared: Bench, keeper: Keeper, cable: Cable, filled: str, caplog: Any
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
    there = shared.there("Account")[filled]
    assert (there["Phone"], there["Fax"]) == ("2", "2")
    said = [getattr(r, "action", "") for r in caplog.records]
    assert said.count("replica.away") == 1


def test_offline_asks_nobody(shared: Bench, keeper: Keeper, cable: Cable, filled: str):
    keeper.choose_mode(Mode.OFFLINE)
    asked = cable.asked
    keeper.update(filled, {"Phone": "2"})
    with pytest.raises(Failure, match="is to work offline"):
        keeper.sync()
    assert cable.asked == asked
    keeper.choose_mode(None)
    keeper.sync()
    assert shared.there("Account")[filled]["Phone"] == "2"


def test_a_change_that_has_to_go_through_is_taken_back(
    shared: Bench, keeper: Keeper, cable: Cable, filled: str
):
    keeper.choose_mode(Mode.HYBRID)
    cable.pulled = True
    with pytest.raises(Unreachable):
        keeper.update(filled, {"Phone": "2"})
    assert keeper.read(filled)["Phone"] == "1"


def test_what_the_crm_refuses_is_refused_at_once(shared: Bench, keeper: Keeper, filled: str):
    shared.between.refuse = lambda verb, name, row: Refused("", "forbidden", "not on a Sunday")
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.update(filled, {"Phone": "2"})
    assert keeper.read(filled)["Phone"] == "1"
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.create("Contact", {"LastName": "Lovelace"})
    with pytest.raises(Fault, match="not on a Sunday"):
        keeper.delete(filled)
    assert keeper.read(filled)["Name"] == "Acme"


def test_one_at_a_time(shared: Bench, keeper: Keeper, filled: str):
    with keeper.database.alone(shared.clock):
        with pytest.raises(Locked, match="the replica is busy: process"):
            keeper.sync()
        keeper.update(filled, {"Phone": "2"})  # whoever is at it, or the next pass, sends it
    assert shared.there("Account")[filled]["Phone"] == "1"
    keeper.sync()
    assert shared.there("Account")[filled]["Phone"] == "2"


def test_what_is_written_while_a_pass_is_ending_goes_at_once(shared: Bench, keeper: Keeper, filled: str):
    passes = []

    def watch(stage: Stage, what: str) -> None:
        if stage is Stage.FINISH and not passes:
            keeper.update(filled, {"Phone": "2"})
        passes.extend([stage] if stage is Stage.FINISH else [])

    keeper.sync(watch)
    assert shared.there("Account")[filled]["Phone"] == "2"


def test_whoever_serves_it_begins_no_pass_that_the_crm_has_to_ask_for(keeper: Keeper, cable: Cable):
    said: SimpleQueue[str] = SimpleQueue()
    with Passes(Replicas({"main": keeper}, forbidden=permission.REPLICA), keeper, said.put):
        assert said.get(timeout=20) == permission.REPLICA
    assert (said.empty(), cable.asked) == (True, 0)


def test_what_another_process_has_learnt_is_read_too(shared: Bench, keeper: Keeper, cable: Cable):
    other = Keeper(
        "main",
        keeper.place.file or "",
        Settings(("Account",)),
        lambda: cable,
        now=shared.clock,
        durable=False,
    )
    account = shared.there_create("Account", Name="Acme")
    other.sync()
    assert keeper.read(account)["Name"] == "Acme"
    keeper.sync()
    contact = shared.there_create("Contact", LastName="Lovelace")
    shared.clock.advance(minutes=5)
    keeper.sync()
    assert other.read(contact)["LastName"] == "Lovelace"
    other.close()


def test_only_some_fields(shared: Bench, cable: Cable, tmp_path: Path):
    settings = replace(Settings(("Account",)), wanted={"Account": frozenset({"Phone"})})
    keeper = Keeper("main", tmp_path / "some.db", settings, lambda: cable, now=shared.clock, durable=False)
    account = shared.there_create("Account", Name="Acme", Phone="1", Fax="1")
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


def test_what_ails_the_passes_is_not_over_because_the_crm_answers_somebody_else(
    shared: Bench, keeper: Keeper, cable: Cable, filled: str
):
    """The sync looks at the CRM with each cycle: its glance would have shown a failing replica green."""
    shared.between.modified = _unreadable  # type: ignore[method-assign]
    try:
        with pytest.raises(ProtocolError):
            keeper.sync()
        keeper.noted(None)
        keeper.update(filled, {"Phone": "2"})
        assert (keeper.trouble() or {})["code"] == "protocol"
    finally:
        del shared.between.modified
    keeper.sync()
    assert keeper.trouble() is None


def test_a_crm_that_answers_somebody_is_there_for_everybody(keeper: Keeper, filled: str):
    for error in (Unreachable("nobody answers"), AuthExpired("the login is refused")):
        keeper.noted(error)
        keeper.noted(None)
        assert keeper.trouble() is None


def test_a_replica_of_another_login_is_seen_to_fail(shared: Bench, keeper: Keeper, filled: str):
    with keeper.database.write() as work:
        work.set_property("login", ["00D000000000001AAA", "005000000000001AAA"])
    with pytest.raises(ForeignLogin):
        keeper.sync()
    assert standing.of(keeper, shared.clock())["light"] == "failing"


def _unreadable(*_: Any) -> Any:
    raise ProtocolError("the answer is none")
