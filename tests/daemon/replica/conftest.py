from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.replica.bench import Bench
from tests.daemon.replica.bench import bench as make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_bench(tmp_path) as made:
        yield made
