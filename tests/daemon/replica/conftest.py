from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.replica.bench import Bench
from tests.daemon.replica.bench import bench as make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_bench(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def crm_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with make_bench(tmp_path_factory.mktemp("crm")) as made:
        yield made


@pytest.fixture
def shared(crm_of_all: Bench) -> Iterator[Bench]:
    """A CRM that the tests of a module share: each looks at records of its own only."""
    yield crm_of_all
    crm_of_all.between.refuse = lambda *_: None
    crm_of_all.clock.advance(minutes=30)
