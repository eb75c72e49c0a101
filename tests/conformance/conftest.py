"""The real servers, started once for all collections that the suite makes on them."""

from collections.abc import Iterator

import pytest

# The suite's modules hold assertions, but are no test modules themselves: pytest has to be told to explain them.
for name in ("bench", "telling", "reading", "writing", "values", "asking"):
    pytest.register_assert_rewrite(f"tests.conformance.{name}")

from tests.servers.dav import DavServer  # noqa: E402 (after the registration)
from tests.servers.dovecot import Dovecot, dovecot  # noqa: E402
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm  # noqa: E402
from tests.servers.radicale import radicale  # noqa: E402
from tests.servers.xandikos import xandikos  # noqa: E402


@pytest.fixture(scope="session")
def on_radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with radicale(tmp_path_factory.mktemp("radicale")) as server:
        yield server


@pytest.fixture(scope="session")
def on_xandikos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with xandikos(tmp_path_factory.mktemp("xandikos")) as server:
        yield server


@pytest.fixture(scope="session")
def on_dovecot() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm(daily_requests=10_000_000) as running:
        yield running
