"""What arrives is counted, with the time since it was changed on the other side."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Side
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.cycle.arrivals import FRESH, WITHIN, Arrivals, since
from crmsync.state.model import Change, QueueState
from tests.daemon.cycle.world import World
from tests.state.samples import NOW


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def beats(world: World) -> list[dict[str, Any]]:
    return world.engine.pulse()


def test_both_directions(world: World) -> None:
    world.person()
    world.record()
    world.sync()
    (hour,) = beats(world)
    assert (hour["to_crm"], hour["to_ecs"], hour["errors"], hour["waiting"]) == (1, 1, 0, 2)
    assert hour["took"] == 20_000  # the clock moved by ten seconds before the sync


def test_an_edit_counts_from_when_it_was_made_and_not_from_when_it_was_seen(world: World) -> None:
    card = world.person()
    world.sync()
    (before,) = beats(world)
    world.ecs.edit(card, job_title="Countess")
    world.clock.tick(50)
    answer = world.sync()
    (hour,) = beats(world)
    assert hour["to_crm"] - before["to_crm"] == 1
    assert hour["slowest"] == 60_000
    told = [c["arrivals"] for c in answer["cycles"] if "arrivals" in c]
    assert told[0]["within"][WITHIN.index(60)] == [60, 1]


def test_a_delete_arrives_too(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.remove(card)
    world.sync()
    assert beats(world)[0]["to_crm"] == 2


def test_a_server_that_is_away_is_an_error_and_an_idle_account_writes_nothing(world: World) -> None:
    world.sync(keep_idle=False)
    assert beats(world) == []
    world.crm.faults.fail("changes", Unreachable("the line is dead"))
    world.sync(keep_idle=False)
    assert beats(world)[0]["errors"] == 1
    noted = beats(world)
    world.sync(keep_idle=False)
    assert beats(world) == noted


def test_a_dry_run_moves_nothing(world: World) -> None:
    world.person()
    world.sync(dry_run=True)
    assert beats(world) == []


ROW = Change(
    id=1, account="alice", side=Side.CRM, collection="Contact", item="003", version="1", gone=False, survivor="",
    kind=None, state=QueueState.DUE, attempts=0, code="", error="", detected_at=NOW, changed_at=NOW, next_at=NOW,
)  # fmt: skip


@pytest.mark.parametrize(
    ("modified", "known", "began"),
    [
        (None, None, NOW),
        (NOW - timedelta(minutes=5), None, NOW - timedelta(minutes=5)),
        (NOW - FRESH - timedelta(seconds=1), None, NOW),  # it has come into view only now
        (NOW - timedelta(hours=9), NOW - timedelta(hours=10), NOW - timedelta(hours=9)),
        (NOW - timedelta(hours=9), NOW - timedelta(hours=8), NOW),  # a time from before they agreed
        (NOW + timedelta(minutes=5), None, NOW),  # a clock that is wrong beyond its offset
    ],
)
def test_when_it_began(modified: Any, known: Any, began: Any) -> None:
    class Told:
        def __init__(self) -> None:
            self.modified = modified

    assert since([ROW], Side.CRM, Told(), timedelta(0), known) == began  # type: ignore[arg-type]


def test_a_decision_counts_from_when_it_was_made() -> None:
    assert since([ROW], Side.ECS, None, timedelta(0)) == NOW
    assert since([], Side.ECS, None, timedelta(0)) is None


def test_what_takes_longer_than_all_has_a_place() -> None:
    arrivals = Arrivals()
    arrivals.note(Side.CRM, NOW, NOW - timedelta(days=2))
    arrivals.note(Side.CRM, NOW, NOW + timedelta(days=2))
    assert (arrivals.within[-1], arrivals.within[0], arrivals.all) == (1, 1, 2)
