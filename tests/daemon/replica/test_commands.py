"""``crmsync crm replica …``: from the command line to a CRM and back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.model import Config
from crmsync.connectors.contract import Refused
from crmsync.daemon.app import build
from crmsync.daemon.cli import main
from crmsync.daemon.commands.shell import World
from crmsync.daemon.control import fingerprint
from crmsync.daemon.control_server import ControlServer, listen
from crmsync.daemon.engine import Engine
from crmsync.daemon.notify import Notifier
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.service import Service
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.local import conversions
from crmsync.state.replica.local.difference import Policy
from tests.daemon.fakes import config_in
from tests.daemon.replica.bench import CONVERTED, Bench, Cable

Answer = Callable[..., tuple[int, Any]]


@dataclass
class Desk:
    """A command line whose engine has a replica of the bench's CRM."""

    bench: Bench
    config: Config
    folder: Path
    cable: Cable = field(init=False)
    engine: Engine = field(init=False)
    keeper: Keeper = field(init=False)
    policy: Policy = Policy.HOLD
    crm: tuple[str, ...] = ("Account", "Contact")

    def __post_init__(self) -> None:
        self.cable = Cable(self.bench.between)
        self.engine = build(self.config, now=self.bench.clock)
        settings = Settings(self.crm, policy=self.policy)
        self.keeper = Keeper(
            "main", self.folder / "kept.db", settings, lambda: self.cable, now=self.bench.clock, durable=False
        )
        self.engine.replicas = Replicas({"main": self.keeper}, self.bench.clock)

    def build(self, config: Config) -> Engine:
        """Closed after each command, and open again with the next one."""
        return self.engine


@pytest.fixture
def desk(shared: Bench, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(shared, config_in(tmp_path), tmp_path)
    yield made
    made.engine.close()


@pytest.fixture
def crmsync(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Answer:
    world = World({}, lambda file, environ: desk.config, desk.build)

    def run(*arguments: str) -> tuple[int, Any]:
        desk.bench.clock.advance(minutes=2)
        code = main([*arguments, "--json"], world)
        out = capsys.readouterr().out
        return code, json.loads(out)

    return run


def changed_on_both(desk: Desk, crmsync: Answer) -> str:
    """A conflict that waits for a person."""
    account = desk.bench.there_create("Account", Name="Acme", Phone="1")
    crmsync("crm", "replica", "sync")
    offline_edit(desk, account, Phone="here")
    desk.bench.there_update(account, Phone="there")
    return account


def offline_edit(desk: Desk, record_id: str, **values: Any) -> None:
    desk.cable.pulled = True
    desk.keeper.update(record_id, values)
    desk.cable.pulled = False


def test_a_pass_and_what_it_did(desk: Desk, crmsync: Answer):
    desk.bench.there_create("Account", Name="Acme")
    code, answer = crmsync("crm", "replica", "sync")
    assert code == 0
    (done,) = answer["replicas"]
    assert (done["name"], done["passes"], answer["errors"]) == ("main", 1, [])
    assert done["pulled"] >= 1
    _, answer = crmsync("status")
    (standing,) = answer["replicas"]
    assert (standing["light"], standing["mode"], standing["acting"]) == ("in_step", "auto", "hybrid")
    assert crmsync("status", "alice")[1]["replicas"][0]["name"] == "main"
    assert crmsync("crm", "replica", "status")[1]["replicas"][0]["light"] == "in_step"


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        (["--keep", "local"], "here"),
        (["--keep", "server"], "there"),
        (["--set", "Phone=new"], "new"),
        (["--set", "Phone="], None),
    ],
)
def test_a_conflict_is_decided(desk: Desk, crmsync: Answer, choice: list[str], value: str | None):
    account = changed_on_both(desk, crmsync)
    assert crmsync("crm", "replica", "sync")[0] == 3
    code, (conflict,) = crmsync("crm", "replica", "conflicts", "--undecided")
    assert code == 0
    assert (conflict["item"], conflict["fields"]) == (account, ["Phone"])
    assert [conflict[side]["Phone"] for side in ("base", "local", "server")] == ["1", "here", "there"]
    assert crmsync("status")[1]["replicas"][0]["light"] == "decision"
    assert crmsync("crm", "replica", "resolve", account[:15], *choice) == (
        0,
        {"item": account, "crm": "main"},
    )
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert desk.bench.there("Account")[account]["Phone"] == value
    assert crmsync("crm", "replica", "conflicts", "--undecided") == (0, [])


def test_a_conflict_is_given_up(desk: Desk, crmsync: Answer):
    account = changed_on_both(desk, crmsync)
    crmsync("crm", "replica", "sync")
    assert crmsync("crm", "replica", "abandon", account)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert desk.bench.there("Account")[account]["Phone"] == "there"


def refused(desk: Desk, crmsync: Answer) -> str:
    """An update that the CRM has refused."""
    account = desk.bench.there_create("Account", Name="Acme", Phone="1")
    crmsync("crm", "replica", "sync")
    offline_edit(desk, account, Phone="bad")
    desk.bench.between.refuse = lambda verb, name, row: (
        Refused("", "validation", "no such number") if "bad" in str(row) else None
    )
    code, answer = crmsync("crm", "replica", "sync")
    assert (code, answer["replicas"][0]["rejected"]) == (1, 1)
    return account


def test_what_was_refused_goes_with_another_value(desk: Desk, crmsync: Answer):
    account = refused(desk, crmsync)
    _, (row,) = crmsync("crm", "replica", "rejected")
    assert (row["item"], row["action"], row["fields"]) == (account, "update", ["Phone"])
    assert (row["code"], row["error"]) == ("validation", "no such number")
    assert crmsync("crm", "replica", "sync")[0] == 3  # refused before, and not asked again
    assert crmsync("crm", "replica", "retry", account, "--set", "Phone=22", "--set", "Name=Acme 2")[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    there = desk.bench.there("Account")[account]
    assert (there["Phone"], there["Name"]) == ("22", "Acme 2")
    assert crmsync("crm", "replica", "rejected") == (0, [])


def test_what_was_refused_goes_as_it_is_later(desk: Desk, crmsync: Answer):
    account = refused(desk, crmsync)
    desk.bench.between.refuse = lambda *_: None
    assert crmsync("crm", "replica", "retry", account)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert desk.bench.there("Account")[account]["Phone"] == "bad"


def test_what_was_refused_is_given_up(desk: Desk, crmsync: Answer):
    account = refused(desk, crmsync)
    assert crmsync("crm", "replica", "abandon", account)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert desk.bench.there("Account")[account]["Phone"] == "1"
    _, (given_up,) = crmsync("crm", "replica", "conflicts")
    assert given_up["local"] == {"Phone": "bad"}
    how, _, by = given_up["resolved"].partition(", by ")
    assert (how, by.partition(", ")[2]) == ("abandoned", "on the command line")


def test_a_create_that_was_refused_goes_with_another_value(desk: Desk, crmsync: Answer):
    crmsync("crm", "replica", "sync")
    desk.cable.pulled = True
    made = desk.keeper.create("Contact", {"LastName": "bad"})
    desk.cable.pulled = False
    desk.bench.between.refuse = lambda verb, name, row: (
        Refused("", "validation", "no such name") if "bad" in str(row) else None
    )
    assert crmsync("crm", "replica", "sync")[0] == 1
    assert crmsync("crm", "replica", "rejected")[1][0]["action"] == "create"
    assert crmsync("crm", "replica", "retry", made, "--set", "LastName=Lovelace")[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    there = desk.bench.there("Contact")[desk.keeper.read(made)["Id"]]
    assert there["LastName"] == "Lovelace"


def refused_conversion(desk: Desk, crmsync: Answer) -> str:
    desk.keeper.settings = Settings(("Account", "Contact", "Lead", "Opportunity"), policy=Policy.HOLD)
    lead = desk.bench.there_create("Lead", LastName="Doe", Company="Acme", Phone="1")
    crmsync("crm", "replica", "sync")
    asked = Conversion(lead, CONVERTED, opportunity_name="bad")
    desk.keeper.here(lambda work, at: conversions.convert(work, asked, at).contact)
    desk.bench.between.refuse = lambda verb, name, row: (
        Refused("", "rule", "no such deal") if verb == "convert" and "bad" in str(row) else None
    )
    assert crmsync("crm", "replica", "sync")[0] == 1
    (row,) = crmsync("crm", "replica", "rejected")[1]
    assert (row["item"], row["action"], row["error"]) == (lead, "convert", "no such deal")
    return lead


def test_a_conversion_that_was_refused_goes_in_another_way(desk: Desk, crmsync: Answer):
    lead = refused_conversion(desk, crmsync)
    account = desk.bench.there_create("Account", Name="Known")
    crmsync("crm", "replica", "sync")
    choices = ["--set", f"accountId={account}", "--set", "opportunityName=Deal", "--set", "Phone=7"]
    assert crmsync("crm", "replica", "retry", lead, *choices)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    there = desk.bench.there("Lead")[lead]
    assert (there["IsConverted"], there["ConvertedAccountId"]) == (True, account)
    assert desk.bench.there("Opportunity")[there["ConvertedOpportunityId"]]["Name"] == "Deal"
    assert desk.bench.there("Contact")[there["ConvertedContactId"]]["Phone"] == "7"


def test_a_conversion_that_was_refused_goes_as_it_is_or_not_at_all(desk: Desk, crmsync: Answer):
    lead = refused_conversion(desk, crmsync)
    assert crmsync("crm", "replica", "retry", lead)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 1
    assert crmsync("crm", "replica", "retry", lead, "--set", "doNotCreateOpportunity=perhaps")[0] == 2
    assert crmsync("crm", "replica", "abandon", lead)[0] == 0
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert desk.bench.there("Lead")[lead]["IsConverted"] is False
    assert desk.keeper.read(lead)["IsConverted"] is False


WRONG = [
    (["retry", "001000000000999"], "nothing of a record of that id waits"),
    (["resolve", "ACCOUNT", "--keep", "local"], "there is no conflict"),
    (["retry", "ACCOUNT", "--set", "Phone"], "is not FIELD=VALUE"),
    (["retry", "ACCOUNT", "--set", "Fon=1"], "Fon"),
    (["retry", "ACCOUNT", "--set", "NumberOfEmployees=many"], "“many” is no int"),
    (["abandon", "ACCOUNT", "--crm", "other"], "crm “other” has no replica (one has: main)"),
    (["resolve", "ACCOUNT"], "say either --keep local"),
]


def test_what_is_asked_wrongly(desk: Desk, crmsync: Answer):
    account = refused(desk, crmsync)
    for arguments, words in WRONG:
        code, answer = crmsync("crm", "replica", *(account if a == "ACCOUNT" else a for a in arguments))
        assert code == 2, arguments
        assert words in answer["error"]["message"]
    assert crmsync("crm", "replica", "rejected")[1][0]["item"] == account  # as it was


def test_modes(desk: Desk, crmsync: Answer):
    assert crmsync("crm", "replica", "mode")[1] == {
        "replicas": [{"name": "main", "mode": "auto", "acting": "hybrid"}]
    }
    assert crmsync("crm", "replica", "mode", "offline")[0] == 0
    code, answer = crmsync("crm", "replica", "sync")
    assert (code, answer["errors"][0]["code"]) == (1, "offline")
    assert crmsync("status")[1]["replicas"][0]["light"] == "offline"
    assert crmsync("crm", "replica", "mode", "configured")[1]["replicas"][0]["mode"] == "auto"
    assert crmsync("crm", "replica", "sync")[0] == 0


def test_a_crm_that_is_away(desk: Desk, crmsync: Answer):
    crmsync("crm", "replica", "sync")
    desk.cable.pulled = True
    code, answer = crmsync("crm", "replica", "sync")
    (error,) = answer["errors"]
    assert (code, error["code"], error["retry"]) == (1, "unreachable", True)
    (standing,) = crmsync("status")[1]["replicas"]
    assert (standing["light"], standing["acting"]) == ("offline", "offline")
    assert standing["error"]["message"] == "nobody answers"
    desk.cable.pulled = False
    assert crmsync("crm", "replica", "sync")[0] == 0
    assert crmsync("status")[1]["replicas"][0]["error"] is None


def test_without_a_replica(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = config_in(tmp_path)
    world = World({}, lambda file, environ: config)
    assert main(["crm", "replica", "sync"], world) == 2
    assert "replica = true in its [crm.NAME]" in capsys.readouterr().err
    assert main(["status", "--json"], world) == 0
    assert json.loads(capsys.readouterr().out)["replicas"] == []


def test_a_person_reads_it(desk: Desk, crmsync: Answer, capsys: pytest.CaptureFixture[str]):
    refused(desk, crmsync)
    world = World({}, lambda file, environ: desk.config, desk.build)
    capsys.readouterr()
    assert main(["status"], world) == 0
    assert main(["crm", "replica", "sync"], world) == 3
    assert main(["crm", "replica", "rejected"], world) == 0
    assert main(["crm", "replica", "mode", "offline"], world) == 0
    said = capsys.readouterr().out
    for words in ("decision", "the CRM has refused 1 change", "no such number", "main: offline"):
        assert words in said


@pytest.mark.parametrize(
    ("objects", "wanted", "ok", "words"),
    [
        (("Account", "Contact"), {}, True, "Account, Contact in"),
        (("Account", "Nothing"), {}, False, "Nothing"),
        (("Account",), {"Account": frozenset({"Colour"})}, False, "Account has no field Colour"),
    ],
)
def test_check_names_what_is_not_there(desk: Desk, objects: Any, wanted: Any, ok: bool, words: str):
    desk.keeper.settings = Settings(objects, wanted)
    (line,) = desk.engine.replicas.check()
    assert (line["name"], line["ok"]) == ("replica of crm.main", ok)
    assert words in line["message"]
    assert bool(line["hint"]) == (not ok)


def test_what_the_conflict_log_must_not_keep(desk: Desk, crmsync: Answer):
    account = refused(desk, crmsync)
    desk.cable.pulled = True
    desk.keeper.update(account, {"Phone": "Ask ada@example.com"})
    assert crmsync("crm", "replica", "abandon", account)[0] == 0
    assert "ada@example.com" in str(crmsync("crm", "replica", "conflicts"))
    assert desk.engine.replicas.tidy(desk.bench.clock() - timedelta(days=1)) == 0
    desk.engine.forget("Ada@example.com")
    assert crmsync("crm", "replica", "conflicts") == (0, [])
    desk.keeper.update(account, {"Phone": "3"})
    crmsync("crm", "replica", "abandon", account)
    desk.bench.clock.advance(days=2)
    assert desk.engine.replicas.tidy(desk.bench.clock() - timedelta(days=1)) == 1
    assert crmsync("crm", "replica", "conflicts") == (0, [])


# ── Beside a service ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def service(desk: Desk) -> Iterator[Service]:
    """Its clock does not tick by itself: a test takes the turns of its replicas."""
    engine = desk.build(desk.config)
    made = Service(
        desk.config, engine, lambda: desk.config, desk.build, Notifier(None), {}, now=desk.bench.clock
    )
    path = desk.config.service.socket
    about = {"pid": 1, "config": fingerprint(desk.config), "since": ""}
    server = ControlServer(listen(path), path, made.handle, lambda: about)
    server.start()
    yield made
    server.stop()


def test_commands_go_through_the_service(desk: Desk, crmsync: Answer, service: Service):
    desk.bench.there_create("Account", Name="Acme")
    with service.engine.state.exclusive():
        assert crmsync("crm", "replica", "sync")[0] == 0
        assert crmsync("crm", "replica", "mode", "hybrid")[0] == 0
    (standing,) = service.engine.status()["replicas"]
    assert (standing["mode"], standing["total"]["passes"]) == ("hybrid", 1)


def test_its_turns(desk: Desk, service: Service, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    account = desk.bench.there_create("Account", Name="Acme")
    assert service.replicas.turn("main") is None  # until the interval is over
    keeper = service.engine.replicas.keepers["main"]
    assert keeper.read(account)["Name"] == "Acme"
    desk.cable.pulled = True
    pauses = [service.replicas.turn("main") for _ in range(2)]
    assert all(p is not None and 60 <= p.total_seconds() <= 72 for p in pauses)  # sooner, to be back soon
    desk.cable.pulled = False
    assert service.replicas.turn("main") is None
    actions = [getattr(r, "action", "") for r in caplog.records]
    assert actions.count("replica.away") == actions.count("replica.back") == 1


def test_no_turn_while_somebody_is_at_it(desk: Desk, service: Service):
    with service.turns.patiently(["replica main"]):
        assert service.replicas.turn("main") is None
    assert service.engine.status()["replicas"][0]["last_success"] is None


def test_no_turn_where_it_is_to_work_offline(desk: Desk, service: Service):
    service.engine.replicas.replica_mode("offline")
    asked = desk.cable.asked
    assert service.replicas.turn("main") is None
    assert desk.cable.asked == asked


class Hurried:
    def __init__(self) -> None:
        self.ids: list[str] = []

    def hurry(self, id: str) -> None:
        self.ids.append(id)


def test_a_decision_is_carried_out_at_once(desk: Desk, crmsync: Answer, service: Service):
    account = refused(desk, crmsync)
    hurried = Hurried()
    service.answers = replace(service.answers, schedule=hurried)
    crmsync("crm", "replica", "status")
    crmsync("crm", "replica", "rejected")
    crmsync("crm", "replica", "mode")
    assert hurried.ids == []
    crmsync("crm", "replica", "retry", account)
    crmsync("crm", "replica", "mode", "hybrid")
    assert hurried.ids == ["replica:main"] * 2
