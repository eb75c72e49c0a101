from collections.abc import Iterator

import pytest

from tests.state.replica.soql.world import World, opened


@pytest.fixture
def world() -> Iterator[World]:
    """An organisation without rows."""
    with opened() as empty:
        yield empty
