"""Sentences that an operator acts on: which id nobody knows, whose error it is, said once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.daemon.operations.finding import NoSuchItem
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_which_of_the_two_nobody_knows_and_where_ids_are(world: World) -> None:
    card, record = world.person("Grace", "Hopper", tag=False), world.record("Ada", "Lovelace")
    told = []
    for item, partner in ((card, "003nobody"), ("nobody.vcf", record), ("nobody.vcf", "003nobody")):
        with pytest.raises(NoSuchItem) as refused:
            world.engine.link(item, partner)
        assert "crmsync matches" in str(refused.value)
        told.append(str(refused.value).partition("nobody shows ")[2].partition(";")[0])
    assert told == ["“003nobody”", "“nobody.vcf”", "“nobody.vcf” or “003nobody”"]


def test_two_that_are_there_and_do_not_fit(world: World) -> None:
    one, other = world.person("Grace", "Hopper", tag=False), world.person("Ada", "Lovelace", tag=False)
    with pytest.raises(NoSuchItem, match="they are of different kinds or accounts"):
        world.engine.link(one, other)


def test_the_name_of_a_check_is_not_said_twice(world: World) -> None:
    world.crm.faults.fail("identity", Unreachable("no answer"), times=ALWAYS)
    (line,) = (line for line in world.engine.check()["checks"] if line["name"] == "alice: CRM main")
    assert (line["ok"], line["message"]) == (False, "no answer")
