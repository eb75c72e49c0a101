"""A real process and SIGKILL, at the writes of a small world over real servers: before the server hears of one, and
after it has done it. ``CRMSYNC_TORTURE=full`` dies at each of them."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bars.cli import Cli
from tests.bars.office import Office, office
from tests.faults.scene import Scene, scene
from tests.servers.proxy import Asked, Broken, Reply, Server, Trouble

FULL = os.environ.get("CRMSYNC_TORTURE") == "full"
WRITES = 7  # of the sync that is killed: two creates and the stamp of one, two updates, two deletes
POINTS = [(n, when) for n in range(WRITES) for when in ("before", "after")]
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("kills")) as made:
        yield made


@pytest.fixture
def small(servers: Office, tmp_path: Path) -> Iterator[Scene]:
    with scene(servers, tmp_path) as made:
        made.people()
        made.news()
        yield made


@pytest.mark.parametrize(("number", "when"), POINTS if FULL else [(1, "after"), (3, "before"), (5, "after")])
def test_killed_at_a_write(small: Scene, number: int, when: str) -> None:
    count = itertools.count()
    with Cli(small.config).started("sync") as process:

        def fatal(asked: Asked, server: Server) -> Reply | Broken:
            if when == "after":
                server(asked)
            process.kill()
            process.wait()
            return Broken()

        def choose(asked: Asked) -> Trouble | None:
            writes = asked.method in ("PUT", "PATCH", "DELETE") or "/composite/" in asked.path
            return fatal if writes and next(count) == number else None

        for proxy in (small.office.dav_proxy, small.office.crm_proxy):
            proxy.trouble = choose
        process.communicate(timeout=120)
    for proxy in (small.office.dav_proxy, small.office.crm_proxy):
        proxy.trouble = lambda asked: None
    assert process.returncode == -signal.SIGKILL, "it has lived on"
    small.ends_well()
