"""What only the CRM can do with records: merging them, bringing deleted ones back, emptying the bin."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from crmsync.daemon.replica.modes import Mode
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Rejected, Saved
from tests.daemon.replica.office import Office, office

CONNECTED = [Mode.AUTO, Mode.ONLINE]


@pytest.fixture(scope="module")
def shared_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.fixture
def here(shared_office: Office, request: pytest.FixtureRequest) -> Office:
    """With two accounts of its own, and a contact below the second one."""
    made = shared_office
    made.keeper.choose_mode(getattr(request, "param", Mode.AUTO))
    made.master, made.loser = (made.there_create("Account", Name=name) for name in ("Acme", "Acme Inc"))
    made.ada = made.there_create("Contact", LastName="Lovelace", AccountId=made.loser)
    made.run()
    made.crm_here.look()  # the schema is known by now
    return made


def caller(here: Office) -> Caller:
    return here.crm_here.store.caller(here.crm.sync.id)


def merge(here: Office, fields: dict[str, Any] | None = None) -> Any:
    return here.crm_here.merger.merge(caller(here), "Account", here.master, fields or {}, [here.loser])


def undelete(here: Office, *ids: str) -> list[Any]:
    return here.crm_here.recycle_bin.undelete(caller(here), ids)


def empty(here: Office, *ids: str) -> list[Any]:
    return here.crm_here.recycle_bin.empty(caller(here), ids)


def delete(here: Office, record_id: str) -> None:
    assert isinstance(here.crm_here.store.delete(caller(here), [record_id])[0], Saved)


def refusals(outcomes: list[Any]) -> list[tuple[str, ...]]:
    return [tuple(f.code for f in each.faults) if isinstance(each, Rejected) else () for each in outcomes]


def asked(here: Office, verb: str, query: str) -> list[dict[str, Any]]:
    token = here.crm_here.sessions.open(here.crm.sync.id)
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        path = f"{here.address}/services/data/v59.0/{verb}"
        headers = {"Authorization": f"Bearer {token}"}
        return list(
            json.loads(pool.request("GET", path, fields={"q": query}, headers=headers).data)["records"]
        )


@pytest.mark.parametrize("here", CONNECTED, indirect=True)
def test_a_merge_is_the_crms_and_the_tables_follow(here: Office):
    here.clock.advance(seconds=3)
    found = merge(here, {"Phone": "12 & <3>", "Fax": None, "NumberOfEmployees": 7})
    assert (found.master, found.losers, found.moved) == (here.master, (here.loser,), (here.ada,))
    here.assert_equal()
    assert here.here("Contact")[here.ada]["AccountId"] == here.master
    assert here.here("Account")[here.master]["Phone"] == "12 & <3>"
    assert here.loser not in here.here("Account")
    assert here.work() == {}
    gone = asked(here, "queryAll", f"SELECT Id, MasterRecordId FROM Account WHERE Id = '{here.loser}'")
    assert [(row["Id"], row["MasterRecordId"]) for row in gone] == [(here.loser, here.master)]
    here.run()
    here.assert_equal()


def test_what_waits_and_refers_to_a_loser_refers_to_the_master(here: Office):
    here.away()
    store = here.crm_here.store
    waiting = store.create(caller(here), [("Contact", {"LastName": "Hopper", "AccountId": here.loser})])[0].id
    store.update(caller(here), [("Contact", here.ada, {"Phone": "1"})])
    here.back()
    merge(here)
    rows = here.here("Contact")
    assert {rows[each]["AccountId"] for each in (waiting, here.ada)} == {here.master}
    here.run()
    here.assert_equal()
    assert here.work() == {}
    of_master = [r["LastName"] for r in here.there("Contact").values() if r["AccountId"] == here.master]
    assert sorted(of_master) == ["Hopper", "Lovelace"]


def test_a_record_whose_changes_wait_is_not_merged(here: Office):
    here.away()
    here.crm_here.store.update(caller(here), [("Account", here.loser, {"Phone": "1"})])
    here.back()
    with pytest.raises(Fault, match=r"UNABLE_TO_LOCK_ROW: .* have to reach the CRM first"):
        merge(here)
    here.run()
    merge(here)
    here.assert_equal()


def test_what_the_crm_says_of_a_merge_is_said(here: Office):
    with pytest.raises(Fault, match="INVALID_FIELD_FOR_INSERT_UPDATE"):
        merge(here, {"CreatedDate": "2026-01-01T00:00:00Z"})
    here.there_delete(here.loser)
    with pytest.raises(Fault, match="ENTITY_IS_DELETED"):
        merge(here)
    assert here.work() == {}


def test_without_the_crm_nothing_is_merged_brought_back_or_emptied(here: Office):
    here.there_delete(here.ada)
    here.run()
    here.away()
    before = here.here("Account")
    for mode in (Mode.AUTO, Mode.OFFLINE):  # what a client sees as the answer for each record
        here.keeper.choose_mode(mode)
        with pytest.raises(Fault, match=r"FUNCTIONALITY_NOT_ENABLED: .* cannot be kept and made later"):
            merge(here)
        assert refusals(undelete(here, here.ada)) == [("UNDELETE_FAILED",)]
        assert refusals(empty(here, here.ada)) == [("FUNCTIONALITY_NOT_ENABLED",)]
    for mode in (Mode.HYBRID, Mode.ONLINE):  # as every other write
        here.keeper.choose_mode(mode)
        for act in (
            merge,
            lambda office: undelete(office, office.ada),
            lambda office: empty(office, office.ada),
        ):
            with pytest.raises(Fault, match="SERVER_UNAVAILABLE"):
                act(here)
    assert (here.here("Account"), here.work()) == (before, {})
    assert asked(here, "queryAll", f"SELECT Id FROM Contact WHERE Id = '{here.ada}'") == []
    here.back()


@pytest.mark.parametrize("here", CONNECTED, indirect=True)
def test_a_deleted_record_comes_back_with_what_went_along_until_the_bin_is_emptied(here: Office):
    delete(here, here.loser)
    assert here.ada not in here.here("Contact")
    here.clock.advance(seconds=3)
    assert undelete(here, here.loser[:15]) == [Saved(here.loser, created=False)]
    assert here.here("Account")[here.loser]["Name"] == "Acme Inc"
    here.run()
    here.assert_equal()
    assert here.here("Contact")[here.ada]["AccountId"] == here.loser
    delete(here, here.ada)
    done, refused = empty(here, here.ada, here.master)
    assert done == Saved(here.ada, created=False)
    assert refusals([refused]) == [("UNDELETE_FAILED",)]
    assert refusals(undelete(here, here.ada)) == [("UNDELETE_FAILED",)]
    assert asked(here, "queryAll", f"SELECT Id FROM Contact WHERE Id = '{here.ada}'") == []


def test_jobs_find_what_is_deleted_as_queries_do(here: Office):
    """Bulk's queryAll, of both versions: deleted records are not kept here."""
    delete(here, here.ada)
    text = f"SELECT Id, Account.Name, IsDeleted, CreatedDate FROM Contact WHERE Id = '{here.ada}'"
    columns, rows = here.crm_here.queries.table(caller(here), text, include_deleted=True)
    (found,) = rows
    assert columns == ["Id", "Account.Name", "IsDeleted", "CreatedDate"]
    assert (found["Id"], found["Account"]["Name"], found["IsDeleted"]) == (here.ada, "Acme Inc", True)
    assert found["CreatedDate"].endswith(".000Z")  # as Bulk writes it
    assert list(here.crm_here.queries.table(caller(here), text)[1]) == []
    here.away()
    assert list(here.crm_here.queries.table(caller(here), text, include_deleted=True)[1]) == []
    here.back()


def test_a_delete_that_has_not_gone_out_is_taken_back_and_not_emptied(here: Office):
    here.away()
    delete(here, here.loser)
    assert refusals(empty(here, here.loser, "nonsense")) == [("INVALID_ID_FIELD",), ("MALFORMED_ID",)]
    assert undelete(here, here.loser, here.master)[0] == Saved(here.loser, created=False)
    assert here.here("Contact")[here.ada]["AccountId"] == here.loser
    here.back()
    here.run()
    here.assert_equal()
