"""Create, update, upsert, retrieve: what is stored, what is computed, what is refused."""

import datetime
from typing import Any

import pytest

from crmsync.state.replica import ids
from crmsync.state.replica.faults import Fault, Rejected, Saved
from tests.state.replica.conftest import Bench, codes

NOON = datetime.datetime(2026, 3, 1, 12, 0, 0)


def test_a_new_record_gets_id_owner_and_stamps(bench: Bench) -> None:
    record_id = bench.create("contact", bench.alice, lastname="Löwe", FIRSTNAME="Zoë")
    row = bench.read(record_id)
    assert record_id.startswith("003")
    assert ids.is_valid(record_id)
    assert len(record_id) == 18
    assert (row["FirstName"], row["LastName"], row["Name"]) == ("Zoë", "Löwe", "Zoë Löwe")
    assert row["OwnerId"] == row["CreatedById"] == row["LastModifiedById"] == bench.alice.user_id
    assert row["CreatedDate"] == row["LastModifiedDate"] == row["SystemModstamp"] == NOON
    assert row["IsDeleted"] is False


def test_a_name_has_all_its_parts(bench: Bench) -> None:
    record_id = bench.create(
        "Contact", FirstName="Ada", MiddleName="M", LastName="King", Suffix="III", Salutation="Dr."
    )
    assert bench.read(record_id)["Name"] == "Ada M King III"
    bench.update(record_id, MiddleName=None)
    assert bench.read(record_id)["Name"] == "Ada King III"


def test_a_write_without_a_change_still_moves_the_stamp(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="Same")
    bench.clock.advance(seconds=90)
    assert isinstance(bench.update(record_id, bench.alice, LastName="Same"), Saved)
    row = bench.read(record_id)
    assert row["SystemModstamp"] == row["LastModifiedDate"] == NOON + datetime.timedelta(seconds=90)
    assert row["LastModifiedById"] == bench.alice.user_id
    assert row["CreatedDate"] == NOON


def test_no_account_stands_below_itself(bench: Bench) -> None:
    top = bench.create("Account", Name="Top")
    middle = bench.create("Account", Name="Middle", ParentId=top)
    below = bench.create("Account", Name="Below", ParentId=middle)
    for parent in (top, middle, below):
        refused = bench.update(top, ParentId=parent)
        assert codes(refused) == ["CIRCULAR_DEPENDENCY"]
    assert bench.read(top)["ParentId"] is None
    assert isinstance(bench.update(below, ParentId=top), Saved)
    assert isinstance(bench.update(middle, ParentId=below), Saved)


def test_nor_do_two_that_are_moved_at_once(bench: Bench) -> None:
    one, other = (bench.create("Account", Name=name) for name in ("One", "Other"))
    rows = [("Account", one, {"ParentId": other}), ("Account", other, {"ParentId": one})]
    first, second = bench.store.update(bench.sync, rows)
    assert isinstance(first, Saved)
    assert codes(second) == ["CIRCULAR_DEPENDENCY"]


def test_text_is_trimmed_and_empty_text_is_null(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="  Trim\n", Description=" ", Title="\u00a0kept\u00a0")
    row = bench.read(record_id)
    assert (row["LastName"], row["Description"], row["Title"]) == ("Trim", None, "\u00a0kept\u00a0")


@pytest.mark.parametrize(
    ("name", "fields", "code", "about"),
    [
        ("Contact", {}, "REQUIRED_FIELD_MISSING", ("LastName",)),
        ("Contact", {"LastName": ""}, "REQUIRED_FIELD_MISSING", ("LastName",)),
        ("Lead", {"LastName": "x"}, "REQUIRED_FIELD_MISSING", ("Company",)),
        ("Opportunity", {"Name": "x"}, "REQUIRED_FIELD_MISSING", ("StageName", "CloseDate")),
        ("Contact", {"LastName": "x" * 81}, "STRING_TOO_LONG", ("LastName",)),
        ("Contact", {"LastName": "x", "Nickname": "y"}, "INVALID_FIELD", ()),
        ("Contact", {"LastName": "x", "CreatedDate": "2020-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE",
         ("CreatedDate",)),
        ("Contact", {"LastName": "x", "Name": "y"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ("Name",)),
        ("Contact", {"LastName": "x", "Email": "no address"}, "INVALID_EMAIL_ADDRESS", ("Email",)),
        ("Contact", {"LastName": "x", "AccountId": "nonsense"}, "MALFORMED_ID", ("AccountId",)),
        ("Contact", {"LastName": "x", "AccountId": ids.new_id("003", 1)}, "MALFORMED_ID", ("AccountId",)),
        ("Contact", {"LastName": "x", "AccountId": ids.new_id("001", 9)}, "INVALID_CROSS_REFERENCE_KEY",
         ("AccountId",)),
        ("Contact", {"LastName": "x", "Birthdate": "1.2.1990"}, "JSON_PARSER_ERROR", ("Birthdate",)),
        ("Contact", {"LastName": "x", "Birthdate": "0001-01-01"}, "JSON_PARSER_ERROR", ("Birthdate",)),
        ("Contact", {"LastName": 5}, "JSON_PARSER_ERROR", ("LastName",)),
        ("Contact", {"LastName": ["x"]}, "JSON_PARSER_ERROR", ("LastName",)),
        ("Contact", {"LastName": "nul\x00"}, "JSON_PARSER_ERROR", ("LastName",)),
        ("Contact", {"LastName": "half \ud83d"}, "JSON_PARSER_ERROR", ("LastName",)),
        ("Contact", {"LastName": "x", "MailingLatitude": 1e400}, "JSON_PARSER_ERROR", ("MailingLatitude",)),
        ("Contact", {"LastName": "x", "MailingLatitude": 12345}, "NUMBER_OUTSIDE_VALID_RANGE",
         ("MailingLatitude",)),
        ("Account", {"Name": "x", "NumberOfEmployees": 10**9}, "NUMBER_OUTSIDE_VALID_RANGE",
         ("NumberOfEmployees",)),
        ("Task", {"IsReminderSet": "perhaps"}, "JSON_PARSER_ERROR", ("IsReminderSet",)),
        ("Task", {"CallType": "Sideways"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ("CallType",)),
        ("Nonsense", {"Name": "x"}, "INVALID_TYPE", ()),
        ("Organization", {"Name": "x"}, "INSUFFICIENT_ACCESS_OR_READONLY", ()),
    ],
)  # fmt: skip
def test_what_is_refused(
    bench: Bench, name: str, fields: dict[str, Any], code: str, about: tuple[str, ...]
) -> None:
    outcome = bench.try_create(name, **fields)
    assert isinstance(outcome, Rejected)
    assert (outcome.faults[0].code, outcome.faults[0].fields) == (code, about)


def test_unrestricted_picklists_take_any_value_and_mend_the_case_of_known_ones(bench: Bench) -> None:
    row = bench.read(bench.create("Contact", LastName="x", LeadSource="carrier pigeon", Salutation="dr."))
    assert (row["LeadSource"], row["Salutation"]) == ("carrier pigeon", "Dr.")


def test_references_take_short_ids_and_living_records_only(bench: Bench) -> None:
    account = bench.create("Account", Name="Acme")
    contact = bench.create("Contact", LastName="x", AccountId=account[:15])
    assert bench.read(contact)["AccountId"] == account
    other = bench.create("Account", Name="Gone")
    bench.delete(other)
    assert codes(bench.update(contact, AccountId=other)) == ["ENTITY_IS_DELETED"]


def test_a_parent_can_be_named_by_its_external_id(bench: Bench) -> None:
    contact = bench.create("Contact", LastName="x", Crmsync_Id__c="who-1")
    who = {"attributes": {"type": "Contact"}, "crmsync_id__c": "WHO-1"}
    assert bench.read(bench.create("Task", Subject="t", Who=who))["WhoId"] == contact
    assert codes(bench.try_create("Task", Who={**who, "crmsync_id__c": "nobody"})) == ["INVALID_FIELD"]
    assert codes(bench.try_create("Task", Who={"Crmsync_Id__c": "who-1"})) == ["INVALID_FIELD"]


def test_one_bad_row_does_not_stop_the_others(bench: Bench) -> None:
    good, bad, also_good = bench.store.create(
        bench.sync, [("Contact", {"LastName": "a"}), ("Contact", {}), ("Account", {"Name": "b"})]
    )
    assert isinstance(good, Saved)
    assert isinstance(also_good, Saved)
    assert codes(bad) == ["REQUIRED_FIELD_MISSING"]


def test_all_or_none_writes_nothing_when_one_row_is_bad(bench: Bench) -> None:
    outcomes = bench.store.create(
        bench.sync, [("Contact", {"LastName": "a", "Crmsync_Id__c": "k"}), ("Contact", {})], all_or_none=True
    )
    assert [codes(o)[0] for o in outcomes] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    with pytest.raises(Fault):
        bench.store.find(bench.sync, "Contact", "Crmsync_Id__c", "k")


def test_external_ids_are_unique_without_case_and_free_again_after_a_delete(bench: Bench) -> None:
    first = bench.create("Contact", LastName="a", Crmsync_Id__c="Straße")
    duplicate = bench.try_create("Contact", LastName="b", Crmsync_Id__c="STRASSE")
    assert isinstance(duplicate, Rejected)
    assert duplicate.faults[0].code == "DUPLICATE_VALUE"
    assert first in duplicate.faults[0].message
    assert isinstance(bench.update(first, Crmsync_Id__c="strasse"), Saved)
    bench.delete(first)
    assert isinstance(bench.try_create("Contact", LastName="b", Crmsync_Id__c="Straße"), Saved)


def test_the_same_external_id_twice_in_one_request(bench: Bench) -> None:
    rows = [("Contact", {"LastName": "a", "Crmsync_Id__c": k}) for k in ("x", "X", "y")]
    first, second, third = bench.store.create(bench.sync, rows)
    assert isinstance(first, Saved)
    assert isinstance(third, Saved)
    assert codes(second) == ["DUPLICATE_VALUE"]


def test_upsert_creates_then_updates(bench: Bench) -> None:
    def upsert(key: Any, **fields: Any) -> Any:
        return bench.store.upsert(bench.sync, "contact", "crmsync_id__C", [(key, fields)])[0]

    created = upsert("k-1", LastName="a")
    assert (created.created, bench.read(created.id)["Crmsync_Id__c"]) == (True, "k-1")
    updated = upsert("K-1", Phone="5")
    assert (updated.id, updated.created, bench.read(created.id)["Phone"]) == (created.id, False, "5")
    assert codes(upsert(None, LastName="a")) == ["MISSING_ARGUMENT"]
    assert codes(upsert("nul\0", LastName="a"))[0] == "JSON_PARSER_ERROR"
    with pytest.raises(Fault, match="NOT_FOUND"):
        bench.store.upsert(bench.sync, "Contact", "Title", [("x", {})])


def test_upsert_by_id_updates_what_exists(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="a")
    rows: list[tuple[Any, dict[str, Any]]] = [(record_id, {"LastName": "b"}), (None, {"LastName": "c"})]
    updated, created = bench.store.upsert(bench.sync, "Contact", "Id", rows)
    assert isinstance(updated, Saved)
    assert isinstance(created, Saved)
    assert (updated.id, updated.created, created.created) == (record_id, False, True)


def test_updates_of_what_is_not_there(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="a")
    assert codes(bench.update(ids.new_id("003", 99), LastName="b")) == ["INVALID_CROSS_REFERENCE_KEY"]
    wrong = bench.store.update(bench.sync, [("Contact", ids.new_id("001", 1), {})])[0]
    assert codes(wrong) == ["MALFORMED_ID"]
    twice = bench.store.update(bench.sync, [("Contact", record_id, {"Phone": "1"})] * 2)
    assert codes(twice[1]) == ["DUPLICATE_VALUE"]
    bench.delete(record_id)
    assert codes(bench.update(record_id, LastName="b")) == ["ENTITY_IS_DELETED"]


def test_a_required_field_cannot_be_emptied(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="a")
    assert codes(bench.update(record_id, LastName=None)) == ["REQUIRED_FIELD_MISSING"]


def test_a_guard_sees_the_stored_row_and_can_stop_the_write(bench: Bench) -> None:
    record_id = bench.create("Contact", LastName="a", Phone="1")

    def guard(row: Any) -> None:
        raise Fault("PRECONDITION_FAILED", f"phone is {row['Phone']}")

    outcome = bench.store.update(bench.sync, [("Contact", record_id, {"Phone": "2"})], guard=guard)[0]
    assert isinstance(outcome, Rejected)
    assert str(outcome.faults[0]) == "PRECONDITION_FAILED: phone is 1"
    assert bench.read(record_id)["Phone"] == "1"


def test_an_inactive_user_owns_nothing_new(bench: Bench) -> None:
    assert isinstance(bench.update(bench.bob.user_id, IsActive=False), Saved)
    outcome = bench.try_create("Task", Subject="t", OwnerId=bench.bob.user_id)
    assert codes(outcome) == ["INACTIVE_OWNER_OR_USER"]


def test_case_numbers_count(bench: Bench) -> None:
    first, second = (bench.read(bench.create("Case", Subject=s))["CaseNumber"] for s in "ab")
    assert (first, second) == ("00000001", "00000002")


def test_what_is_done_together_is_undone_together(bench: Bench) -> None:
    def fail_after_a_write() -> None:
        with bench.store.database.together():
            bench.create("Contact", LastName="never", Crmsync_Id__c="never")
            found = bench.store.find(bench.sync, "Contact", "Crmsync_Id__c", "never")
            raise RuntimeError(found["LastName"])

    with pytest.raises(RuntimeError, match="never"):
        fail_after_a_write()
    with pytest.raises(Fault):
        bench.store.find(bench.sync, "Contact", "Crmsync_Id__c", "never")
