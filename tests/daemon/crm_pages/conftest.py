from collections.abc import Iterator

import pytest

from tests.daemon.crm_pages.person import Person
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm() as running:
        yield running


@pytest.fixture(scope="module")
def alice(crm: EmbeddedCrm) -> Person:
    person = Person(crm.url)
    assert person.login(crm.alice.username, crm.alice.password).to == "/crm"
    return person


@pytest.fixture(scope="module")
def bob(crm: EmbeddedCrm) -> Person:
    person = Person(crm.url)
    assert person.login(crm.bob.username, crm.bob.password).to == "/crm"
    return person
