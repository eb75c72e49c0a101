from collections.abc import Iterator

import pytest

from tests.connectors.dav.bench import Desk, desk
from tests.servers.quirky import Quirky, quirky


@pytest.fixture
def server() -> Iterator[Quirky]:
    with quirky() as running:
        yield running


@pytest.fixture
def at(server: Quirky) -> Iterator[Desk]:
    with desk(server) as opened:
        yield opened
