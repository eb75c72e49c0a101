"""What an admin does by a process of its own while a sync is in the middle of its work; and a sync of several accounts
in which one meets a defect."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.memory.server import MemoryServer
from crmsync.state.errors import Locked
from tests.daemon.cycle.world import World
from tests.daemon.machine.house import House


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def once_before(server: MemoryServer, operation: str, do: Callable[[], None]) -> None:
    before, done = server.faults.before, list[bool]()

    def first(name: str, detail: str) -> object:
        if name == operation and not done:
            done.append(True)
            do()
        return before(name, detail)

    server.faults.before = first  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("command", ["link", "unlink", "forget"])
def test_links_are_not_changed_while_a_sync_writes(world: World, command: str) -> None:
    """It would report what the sync then writes over, or take from under the sync what that is about to note."""
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    world.ecs.edit(card, job_title="Countess")
    commands: dict[str, Callable[[], object]] = {
        "link": lambda: world.engine.link(card, record),
        "unlink": lambda: world.engine.unlink(card),
        "forget": lambda: world.engine.forget("ada@example.com"),
    }
    refused: list[Locked] = []

    def ask() -> None:
        with pytest.raises(Locked) as said:
            commands[command]()
        refused.append(said.value)

    once_before(world.crm, "apply", ask)
    assert world.sync()["errors"] == []
    assert "account alice is busy" in str(refused[0])
    assert world.the_record().columns["job_title"] == "Countess"
    world.idle()


def test_a_defect_in_one_account_leaves_the_others_their_sync(tmp_path: Path) -> None:
    house = House(tmp_path)
    ada = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}
    house.boxes["bob"].put(house.boxes["bob"].collections()[0].id, ada, tags=["CRM"])

    def fails(name: str, detail: str) -> None:
        raise ZeroDivisionError

    house.boxes["alice"].faults.before = fails  # type: ignore[method-assign]
    house.clock.tick()
    with pytest.raises(ZeroDivisionError):
        house.engine.sync(["alice", "bob"])
    records = house.crm.all()
    house.close()
    assert len(records) == 1
