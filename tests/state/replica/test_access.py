"""Who sees and changes what."""

import json
from pathlib import Path

import pytest

from crmsync.state.replica.access import Access
from crmsync.state.replica.faults import Fault, Saved
from crmsync.state.replica.querying import Queries
from tests.state.replica.conftest import Bench, codes, make_bench


def test_tasks_are_private_contacts_are_shared(bench: Bench) -> None:
    task = bench.create("Task", bench.alice, Subject="mine")
    contact = bench.create("Contact", bench.alice, LastName="ours")
    assert bench.store.retrieve(bench.bob, "Task", [task]) == [None]
    assert codes(bench.update(task, bench.bob, Subject="yours")) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    assert isinstance(bench.update(contact, bench.bob, Phone="1"), Saved)
    assert codes(bench.delete(contact, bench.bob)) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    assert codes(bench.update(contact, bench.bob, OwnerId=bench.bob.user_id)) == [
        "INSUFFICIENT_ACCESS_OR_READONLY"
    ]
    assert isinstance(bench.update(task, bench.sync, Subject="seen"), Saved)
    assert isinstance(bench.delete(contact, bench.alice), Saved)


def test_the_owner_may_give_a_record_away(bench: Bench) -> None:
    task = bench.create("Task", bench.alice, Subject="mine")
    assert isinstance(bench.update(task, bench.alice, OwnerId=bench.bob.user_id), Saved)
    assert bench.store.retrieve(bench.alice, "Task", [task]) == [None]


def test_sharing_can_be_set_per_object(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, {"Contact": "private", "Event": "read"})
    contact = bench.create("Contact", bench.alice, LastName="mine")
    event = bench.create("Event", bench.alice, IsAllDayEvent=True, ActivityDate="2026-05-01")
    assert bench.store.retrieve(bench.bob, "Contact", [contact]) == [None]
    assert bench.store.retrieve(bench.bob, "Event", [event]) != [None]
    assert codes(bench.update(event, bench.bob, Subject="x")) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    code = codes(bench.try_create("Task", bench.bob, WhoId=contact))
    assert code == ["INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"]
    bench.store.database.close()
    with pytest.raises(ValueError, match="read_write"):
        Access({"Contact": "public"})


def test_only_administrators_write_users(bench: Bench) -> None:
    assert codes(bench.update(bench.bob.user_id, bench.alice, Title="x")) == [
        "INSUFFICIENT_ACCESS_OR_READONLY"
    ]
    assert codes(bench.try_create("User", bench.alice, LastName="x", Username="x@example.com", Email="x@example.com",
                                  ProfileId=bench.read(bench.bob.user_id)["ProfileId"])) == [
        "INSUFFICIENT_ACCESS_OR_READONLY"
    ]  # fmt: skip


def ask(bench: Bench, text: str, caller: object = None) -> list[dict[str, object]]:
    import json

    queries = Queries(bench.store, clock=bench.clock)
    page = queries.query(caller or bench.sync, text, "/services/data/v59.0")  # type: ignore[arg-type]
    found: list[dict[str, object]] = json.loads(page.records)
    assert len(found) == page.total
    return found


def test_user_record_access(bench: Bench) -> None:
    task = bench.create("Task", bench.alice, Subject="mine")
    contact = bench.create("Contact", bench.alice, LastName="ours")
    gone = bench.create("Contact", LastName="gone")
    bench.delete(gone)
    rows = ask(
        bench,
        "select RecordId, HasReadAccess, HasEditAccess, HasDeleteAccess, MaxAccessLevel from userrecordaccess "
        f"where UserId = '{bench.bob.user_id[:15]}' AND RecordId IN ('{task}', '{contact}', '{gone}')",
    )
    kind = {"attributes": {"type": "UserRecordAccess"}}
    nothing = {
        "HasReadAccess": False,
        "HasEditAccess": False,
        "HasDeleteAccess": False,
        "MaxAccessLevel": "None",
    }
    edit = {"HasReadAccess": True, "HasEditAccess": True, "HasDeleteAccess": False, "MaxAccessLevel": "Edit"}
    assert rows == [{**kind, "RecordId": task, **nothing}, {**kind, "RecordId": contact, **edit}]


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("WHERE UserId = '{user}'", "MALFORMED_QUERY"),
        ("WHERE RecordId = '{user}'", "MALFORMED_QUERY"),
        ("WHERE UserId = '{user}' OR RecordId = '{user}'", "MALFORMED_QUERY"),
        ("WHERE UserId = '{user}' AND RecordId LIKE '{user}'", "MALFORMED_QUERY"),
        ("WHERE UserId = '{user}' AND RecordId IN ({many})", "MALFORMED_QUERY"),
        ("WHERE UserId = '{user}' AND RecordId = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR"),
    ],
)
def test_user_record_access_has_one_form(bench: Bench, where: str, code: str) -> None:
    many = ",".join([f"'{bench.bob.user_id}'"] * 201)
    text = where.format(user=bench.bob.user_id, many=many)
    with pytest.raises(Fault, match=code):
        ask(bench, f"SELECT RecordId FROM UserRecordAccess {text}")


def test_only_administrators_ask_about_others(bench: Bench) -> None:
    where = f"WHERE UserId = '{bench.bob.user_id}' AND RecordId = '{bench.bob.user_id}'"
    assert ask(bench, f"SELECT HasReadAccess FROM UserRecordAccess {where}", bench.bob)
    with pytest.raises(Fault, match="INSUFFICIENT_ACCESS"):
        ask(bench, f"SELECT HasReadAccess FROM UserRecordAccess {where}", bench.alice)


def test_queries_show_what_the_caller_may_see(bench: Bench) -> None:
    bench.create("Task", bench.alice, Subject="hers")
    bench.create("Task", bench.bob, Subject="his")
    text = "SELECT Subject, Owner.Name FROM Task ORDER BY Subject"
    assert [row["Subject"] for row in ask(bench, text, bench.bob)] == ["his"]
    assert [row["Subject"] for row in ask(bench, text)] == ["hers", "his"]


def test_a_file_is_seen_by_who_sees_its_record(bench: Bench) -> None:
    """Tasks are their owner's alone; a company is everybody's."""
    task = bench.store.create(bench.alice, [("Task", {"Subject": "secret"})])[0].id
    company = bench.create("Account", Name="Acme")
    files = [
        bench.store.create(bench.sync, [("Attachment", {"ParentId": parent, "Name": "f", "Body": "aGk="})])[
            0
        ].id
        for parent in (task, company)
    ]
    queries = Queries(bench.store, clock=bench.clock)
    for who, seen in ((bench.alice, files), (bench.bob, files[1:]), (bench.sync, files)):
        page = queries.query(who, "SELECT Id FROM Attachment", "")
        asked = [row["Id"] for row in json.loads(page.records)]
        read = [each for each in files if bench.store.retrieve(who, "Attachment", [each]) != [None]]
        rights = [each for each, may in bench.store.rights(who, files) if may.read]
        assert sorted(asked) == read == rights == seen
    refused, done = bench.store.update(bench.bob, [("Attachment", each, {"Name": "g"}) for each in files])
    assert codes(refused) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    assert isinstance(done, Saved)
    queries.close()


def test_files_of_what_is_private_here(tmp_path: Path) -> None:
    """Of mail too, which nobody owns, and which an organisation may keep from everybody."""
    bench = make_bench(tmp_path, {"EmailMessage": "private", "Account": "private"})
    mail = bench.create("EmailMessage", Subject="m")
    file = bench.create("Attachment", ParentId=mail, Name="f", Body="aGk=")
    assert bench.store.retrieve(bench.bob, "Attachment", [file]) == [None]
    assert bench.store.retrieve(bench.sync, "Attachment", [file]) != [None]
