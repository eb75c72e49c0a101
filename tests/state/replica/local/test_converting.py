"""Leads in the tables, without a network."""

import pytest

from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import conversions
from crmsync.state.replica.local.temporary import is_temporary
from tests.state.replica.local.conftest import BOTH, LATER, Desk, described

STATUS = "Closed - Converted"


@pytest.fixture
def leads(desk: Desk) -> Desk:
    desk.database.learn({name: described(name) for name in ("Lead", "Opportunity")})
    return desk


def convert(desk: Desk, lead: str, **options):
    with desk.database.write() as work:
        return conversions.convert(work, Conversion(lead, STATUS, **options), LATER)


@BOTH
def test_what_lies_under_a_converted_lead_is_kept(leads: Desk):
    lead = leads.arrive("Lead", LastName="Doe", Company="Acme", Status="Open - Not Contacted")
    made = convert(leads, lead)
    assert is_temporary(made.account)
    assert leads.row("Lead", lead)["_converted"]
    assert leads.row("Contact", made.contact)["Name"] == "Doe"
    leads.arrive("Lead", lead, first=False, Phone="5", Status="Working - Contacted", IsConverted=False)
    leads.move("Lead")
    shown = leads.row("Lead", lead)
    assert (shown["Phone"], shown["Status"], shown["ConvertedContactId"]) == ("5", STATUS, made.contact)
    leads.abandon(lead)
    shown = leads.row("Lead", lead)
    assert (shown["Phone"], shown["Status"], shown["IsConverted"]) == ("5", "Working - Contacted", False)
    assert not shown["_converted"]
    assert leads.beside() == {}


def test_what_is_said_of_the_conversion_is_not_edited(leads: Desk):
    lead = leads.arrive("Lead", LastName="Doe", Company="Acme", Status="Open - Not Contacted")
    convert(leads, lead)
    with pytest.raises(Fault, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        leads.update(lead, Status="Working - Contacted")
    with pytest.raises(Fault, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        convert(leads, lead)


def test_a_given_record_is_needed(leads: Desk):
    lead = leads.arrive("Lead", LastName="Doe", Company="Acme", Status="Open - Not Contacted")
    account = leads.create("Account", Name="Acme")
    convert(leads, lead, account=account, create_opportunity=False)
    with pytest.raises(Fault, match="part of a conversion"):
        leads.delete(account)
    with pytest.raises(Fault, match=f"{lead} is to be converted into this record"):
        leads.abandon(account)
    leads.abandon(lead)
    leads.delete(account)
    assert leads.beside() == {}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"contact": "contact"}, "REQUIRED_FIELD_MISSING"),
        ({"contact": "contact", "account": "account"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"account": "contact"}, "MALFORMED_ID"),
    ],
)
def test_what_does_not_go_together(leads: Desk, options, code: str):
    lead = leads.arrive("Lead", LastName="Doe", Company="Acme", Status="Open - Not Contacted")
    ids = {
        "contact": leads.arrive("Contact", LastName="Roe"),
        "account": leads.arrive("Account", Name="Acme"),
    }
    with pytest.raises(Fault) as refused:
        convert(leads, lead, **{role: ids[given] for role, given in options.items()})
    assert refused.value.code == code
    assert leads.beside() == {}


def test_a_login_that_does_not_see_what_becomes_of_a_lead_converts_none(desk: Desk):
    desk.database.learn({"Lead": described("Lead", IsConverted=None)})
    lead = desk.arrive("Lead", LastName="Doe", Company="Acme")
    with pytest.raises(Fault, match="INSUFFICIENT_ACCESS"):
        convert(desk, lead)
