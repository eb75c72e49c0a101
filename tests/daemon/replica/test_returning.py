"""The CRM is there again: whoever finds that out, nobody waits for their turn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crmsync.connectors.errors import ConnectorError, Unreachable
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.rounds import ReplicaRounds
from crmsync.daemon.turns import Turns
from tests.daemon.replica.bench import OBJECTS, Bench, Cable


@dataclass
class Schedule:
    """Hears who is to come early."""

    hurried: list[str] = field(default_factory=list)

    def also(self, id: str, interval: timedelta, turn: Callable[[], timedelta | None]) -> None:
        self.turn = turn

    def hurry(self, id: str) -> None:
        self.hurried.append(id)

    def back(self, name: str) -> None:
        self.hurried.append(name)


@dataclass
class Service:
    keeper: Keeper
    cable: Cable
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        crms = {"alice": "main", "bob": "other", "alice.calls": "main"}
        accounts = {
            name: SimpleNamespace(name=name, crm=SimpleNamespace(name=crm)) for name, crm in crms.items()
        }
        replicas = Replicas({"main": self.keeper})
        engine: Any = SimpleNamespace(replicas=replicas, accounts=accounts)
        ReplicaRounds(Turns(engine), lambda: 0.0).follow(replicas, self.schedule)  # type: ignore[arg-type]


@pytest.fixture
def service(shared: Bench, tmp_path: Path) -> Iterator[Service]:
    cable = Cable(shared.between)
    keeper = Keeper(
        "main", tmp_path / "kept.db", Settings(OBJECTS), lambda: cable, now=shared.clock, durable=False
    )
    yield Service(keeper, cable)
    keeper.close()


def test_a_pass_finds_out(service: Service):
    service.cable.pulled = True
    for _ in range(2):
        service.schedule.turn()
    assert service.schedule.hurried == []
    service.cable.pulled = False
    service.schedule.turn()
    assert service.schedule.hurried == ["alice", "alice.calls"]
    service.schedule.turn()
    assert service.schedule.hurried == ["alice", "alice.calls"]


def test_somebody_else_finds_out(service: Service):
    service.keeper.noted(Unreachable("nobody answers"))
    assert service.schedule.hurried == []
    service.keeper.noted(None)
    service.keeper.noted(None)
    assert service.schedule.hurried == ["replica:main", "alice", "alice.calls"]


def test_other_trouble_is_no_return(service: Service):
    for error in (ConnectorError("a defect there"), None):
        service.keeper.noted(error)
    assert service.schedule.hurried == []
