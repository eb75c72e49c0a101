from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.state.database import State
from tests.daemon.web.site import Scene, scene


@pytest.fixture
def web() -> Iterator[Scene]:
    yield from scene()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State.open(f"sqlite:///{tmp_path}/state.db?synchronous=off", now=lambda: datetime.now(UTC))
    yield made
    made.close()
