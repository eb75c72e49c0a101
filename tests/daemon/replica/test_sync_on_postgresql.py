"""The sync on a replica whose tables are in PostgreSQL: some stories of the file's, and what only a server does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.replica import test_sync_on_replica as stories
from tests.daemon.replica.desk_world import DeskWorld
from tests.daemon.replica.test_postgresql import execute, running, schemas
from tests.daemon.replica.test_sync_on_replica import Ticking, back, begun, clock, crm, linked, titles
from tests.servers.embedded_crm import EmbeddedCrm
from tests.servers.postgresql import PostgreSQL

__all__ = ["clock", "crm", "running"]  # fixtures

pytestmark = pytest.mark.server


@pytest.fixture
def world(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking, running: PostgreSQL) -> Iterator[DeskWorld]:
    execute(running, "SELECT 1", *(f'DROP SCHEMA "{name}" CASCADE' for name in schemas(running)))
    with begun(tmp_path, crm, clock, replica=running.url) as made:
        yield made


@pytest.mark.parametrize(
    "story",
    [
        stories.test_an_edit_is_in_the_replica_at_once_and_in_the_crm_once,
        stories.test_a_create_and_its_update_are_one_record,
    ],
)
def test_it_goes_as_on_a_file(world: DeskWorld, story):
    story(world)


@pytest.mark.parametrize("when", ["crm there", "crm away", "in the middle"])
def test_without_its_tables_nothing_is_exchanged(world: DeskWorld, running: PostgreSQL, when: str):
    """What waits in them has a word in what is written: an edit of the mailbox stays where it is."""
    card, _ = linked(world)
    world.line.cut = when == "crm away"
    world.ecs.edit(card, job_title="Countess")
    left = [running.close]
    if when == "in the middle":  # of a cycle that has found the CRM there
        world.line.before = lambda method, url: left.pop()() if left and "query" in url else None
    else:
        left.pop()()
    try:
        report = world.later()
    finally:
        running.start()
    assert not left
    (error,) = report["errors"]
    assert "schema crmsync_replica_main" in error["message"]
    assert titles(world) == ("Countess", "Analyst", "Analyst")
    back(world)
    assert titles(world) == ("Countess",) * 3
    assert world.engine.conflicts() == []
    world.quiet()
