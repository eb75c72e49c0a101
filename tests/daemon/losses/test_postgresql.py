"""Whole cycles with the state in a PostgreSQL server, and what happens when that goes away."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from tests.daemon.cycle.world import World
from tests.daemon.losses.town import NO_LIMIT
from tests.servers.postgresql import postgresql

_HOLD = """
import sys
from datetime import UTC, datetime
from crmsync.state.database import State
state = State.open(sys.argv[1], now=lambda: datetime.now(UTC))
with state.exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def world(tmp_path: Path, server: str) -> Iterator[World]:
    empty(server)
    world = Elsewhere(tmp_path, server)
    yield world
    world.close()


class Elsewhere(World):
    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        super().__init__(folder, limits=NO_LIMIT)


def empty(server: str) -> None:
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def test_a_whole_story(world: World) -> None:
    ada = world.person(job_title="Analyst")
    bea = world.person("Bea", "Untagged")
    world.record(department="Navy")
    world.appointment()
    world.sync()
    assert (len(world.cards()), len(world.contacts()), len(world.crm.all(world.events))) == (3, 3, 1)
    world.idle()
    world.ecs.edit(ada, job_title="Countess", company="by the card")
    world.clock.tick()
    record = next(i.id for i in world.crm.all(world.people) if i.columns["first_name"] == "Ada")
    world.crm.edit(record, department="Poetry", company="by the record")
    world.ecs.untag(bea, "CRM")
    world.crm.delete(next(i.id for i in world.crm.all(world.people) if i.columns["first_name"] == "Grace"))
    world.close()
    world.start()  # as after a restart of the service
    world.sync(dry_run=True)
    assert world.sync()["errors"] == []
    card = world.ecs.read(ada).columns
    assert (card["job_title"], card["company"], card["department"]) == ("Countess", "by the record", "Poetry")
    assert sorted(str(c["first_name"]) for c in world.cards()) == ["Ada", "Bea"]
    (conflict,) = world.engine.conflicts()
    assert (conflict["column"], conflict["ecs"], conflict["winner"]) == ("company", "by the card", "crm")
    assert world.engine.explain(ada)["record"] == record
    assert len(world.engine.item_history(ada)) > 3
    cycle = next(e["cycle"] for e in world.engine.item_history(ada) if e["column"] == "department")
    assert world.engine.undo(cycle)["undone"] > 0
    world.engine.forget("ada@example.com")
    world.idle()


def test_a_state_that_is_lost_is_rebuilt(world: World, server: str) -> None:
    world.person()
    world.record()
    world.sync()
    world.close()
    empty(server)
    world.start()
    report = world.sync()
    assert [n["code"] for n in report["notices"]] == ["state_older"]
    assert (report["errors"], len(world.cards()), len(world.contacts())) == ([], 2, 2)
    world.idle()


def test_a_second_service_is_refused_in_words(world: World, server: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Locked, match="the service of this state is busy"), world.state.exclusive():
            pass
        child.communicate("")
    with world.state.exclusive():
        pass


def test_connections_that_the_server_drops_cost_a_cycle_at_most(world: World, server: str) -> None:
    world.person()
    world.sync()
    engine = create_engine(server)
    with engine.begin() as connection:
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
    engine.dispose()
    world.person("Bea", "Late")
    world.sync()
    assert len(world.contacts()) == 2
    world.idle()


@pytest.mark.parametrize("sees", [True, False])
def test_a_role_without_rights_is_told_so(world: World, server: str, sees: bool) -> None:
    world.sync()
    engine = create_engine(server)
    with engine.begin() as connection:
        role = f"reader_{sees}".lower()
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        if sees:
            connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
            connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    engine.dispose()
    with pytest.raises(StateError, match="no write access to the state database") as refusal:
        _write(server.replace("crmsync@", f"{role}@"), world)
    assert "GRANT" in refusal.value.hint


def _write(url: str, world: World) -> None:
    state = State.open(url, now=world.clock)
    try:
        with state.transaction() as tx:
            tx.meta.put("a", "b")
    finally:
        state.close()
