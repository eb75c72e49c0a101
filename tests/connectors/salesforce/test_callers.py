"""Who has a number, in the embedded CRM, and only what the person who is called may see."""

from collections.abc import Iterator
from typing import Any

import pytest

from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.callers import national
from crmsync.connectors.salesforce.connector import SalesforceSource
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm(sharing={"Contact": "private", "Case": "private", "Account": "private"}) as running:
        yield running


@pytest.fixture(scope="module")
def source(crm: EmbeddedCrm) -> Iterator[SalesforceSource]:
    auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
    made = SalesforceSource(crm.url, auth=auth, fields={})
    yield made
    made.close()


def make(crm: EmbeddedCrm, table: str, user: str = "", **fields: Any) -> str:
    store = crm.crm.store
    (saved,) = store.create(store.caller(user or crm.alice.id), [(table, fields)])
    return str(saved.id)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("+49 30 23125 001", "+493023125001"),
        ("030 / 23 125-002", "+493023125002"),
        ("0049 (30) 23125003", "+493023125003"),
        ("(415) 555-0199", "+14155550199"),
        ("101", "101"),
    ],
)
def test_a_number_is_found_however_it_is_spelt(
    crm: EmbeddedCrm, source: SalesforceSource, stored: str, asked: str
):
    id = make(crm, "Contact", LastName="Spelt", Phone=stored)
    assert [p.id for p in source.people(asked, crm.alice.id)] == [id]


def test_what_only_ends_alike_is_somebody_else(crm: EmbeddedCrm, source: SalesforceSource):
    make(crm, "Contact", LastName="Longer", Phone="+44 1234 3023125009")
    make(crm, "Contact", LastName="Inside", MobilePhone="1102")
    assert source.people("+493023125009", crm.alice.id) == []
    assert source.people("102", crm.alice.id) == []


@pytest.mark.parametrize("number", ["", "anonymous", "%", "_______", "' OR Id != null --", "0" * 100])
def test_what_is_no_number_is_nobodys(crm: EmbeddedCrm, source: SalesforceSource, number: str):
    assert list(source.people(number, crm.alice.id)) == []


def test_nobody_sees_what_is_not_theirs(crm: EmbeddedCrm, source: SalesforceSource):
    person = make(crm, "Contact", LastName="Private", Phone="+49 30 23125 020")
    make(crm, "Task", WhoId=person, Subject="hers")
    (found,) = source.people("+493023125020", crm.alice.id)
    assert [line.text for line in found.open] == ["hers"]
    assert list(source.people("+493023125020", crm.bob.id)) == []


def test_national_digits():
    assert national("+493023125000") == "3023125000"
    assert national("101") == "101"
