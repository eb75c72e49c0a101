from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.fakes import FakeEngine, fake_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as made:
        yield made
