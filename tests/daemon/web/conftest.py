from collections.abc import Iterator

import pytest

from tests.daemon.web.site import Scene, scene


@pytest.fixture
def web() -> Iterator[Scene]:
    yield from scene()
