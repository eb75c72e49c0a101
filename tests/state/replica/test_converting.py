import pytest

from crmsync.state.replica.converting import Conversion, Converter
from crmsync.state.replica.faults import Fault
from tests.state.replica.conftest import Bench

STATUS = "Closed - Converted"


def lead_of(bench: Bench) -> str:
    return bench.create(
        "Lead", LastName="Doe", FirstName="Jo", Company="Acme", Phone="1", LeadSource="Web", City="Ulm",
        Email="jo@example.com",
    )  # fmt: skip


def test_a_lead_becomes_three_records(bench: Bench) -> None:
    lead = lead_of(bench)
    task = bench.create("Task", Subject="t", WhoId=lead)
    made = Converter(bench.store).convert(bench.sync, Conversion(lead, STATUS))
    account, contact = bench.read(made.account), bench.read(made.contact)
    assert made.opportunity is not None
    opportunity = bench.read(made.opportunity)
    assert (account["Name"], account["BillingCity"], account["AccountSource"]) == ("Acme", "Ulm", "Web")
    assert (contact["Name"], contact["AccountId"], contact["MailingCity"]) == ("Jo Doe", made.account, "Ulm")
    assert (opportunity["Name"], opportunity["AccountId"]) == ("Acme-", made.account)
    assert opportunity["CloseDate"].isoformat() == "2026-03-31"
    row = bench.read(lead)
    assert (row["IsConverted"], row["Status"], row["ConvertedDate"]) == (
        True,
        STATUS,
        bench.store.now().date(),
    )
    assert (row["ConvertedAccountId"], row["ConvertedContactId"]) == (made.account, made.contact)
    assert (bench.read(task)["WhoId"], bench.read(task)["AccountId"]) == (made.contact, made.account)


def test_given_records_are_filled_not_replaced(bench: Bench) -> None:
    account = bench.create("Account", Name="Other", Fax="9")
    contact = bench.create("Contact", LastName="Kept", AccountId=account, LeadSource="Other")
    asked = Conversion(
        lead_of(bench), STATUS, account, contact, create_opportunity=False, owner=bench.bob.user_id
    )
    made = Converter(bench.store).convert(bench.sync, asked)
    assert made.opportunity is None
    assert (bench.read(account)["Name"], bench.read(account)["Phone"]) == ("Other", "1")
    assert (bench.read(contact)["LastName"], bench.read(contact)["LeadSource"]) == ("Kept", "Other")
    assert bench.read(contact)["Email"] == "jo@example.com"
    over = Conversion(
        lead_of(bench), STATUS, account, contact, overwrite_source=True, create_opportunity=False
    )
    Converter(bench.store).convert(bench.sync, over)
    assert bench.read(contact)["LeadSource"] == "Web"


def test_what_a_conversion_is_refused_for(bench: Bench) -> None:
    lead, converter = lead_of(bench), Converter(bench.store)
    account = bench.create("Account", Name="a")
    stranger = bench.create("Contact", LastName="c")
    for asked, code in (
        (Conversion(lead, "Open - Not Contacted"), "INVALID_STATUS"),
        (Conversion(lead, STATUS, contact=stranger), "REQUIRED_FIELD_MISSING"),
        (Conversion(lead, STATUS, account, stranger), "INVALID_CROSS_REFERENCE_KEY"),
        (Conversion(account, STATUS), "MALFORMED_ID"),
    ):
        with pytest.raises(Fault) as refused:
            converter.convert(bench.sync, asked)
        assert refused.value.code == code
    assert not bench.read(lead)["IsConverted"]
    converter.convert(bench.sync, Conversion(lead, STATUS))
    with pytest.raises(Fault, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        converter.convert(bench.sync, Conversion(lead, STATUS))
