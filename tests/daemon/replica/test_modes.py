"""Online, hybrid, offline: where a write goes, and what becomes of it when the upstream is not there."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3

from crmsync.connectors.errors import Unreachable
from crmsync.daemon.replica.context import naive
from crmsync.daemon.replica.line import Line
from crmsync.daemon.replica.modes import Mode
from tests.daemon.replica.office import Office, office

V = "/services/data/v59.0"


class Api:
    """Requests to the replica, with a session of its user."""

    def __init__(self, here: Office) -> None:
        self.here = here
        self.pool = urllib3.PoolManager(retries=False, timeout=30)
        self.token = here.server.crm.sessions.open(here.crm.sync.id)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        text = None if body is None else json.dumps(body)
        reply = self.pool.request(method, f"{self.here.address}{V}/{path}", body=text, headers=sent)
        return reply.status, json.loads(reply.data) if reply.data else None


@pytest.fixture
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    with office(tmp_path, mode=getattr(request, "param", Mode.AUTO)) as made:
        made.acme = made.there_create("Account", Name="Acme")
        made.there_create("Contact", LastName="Lovelace", AccountId=made.acme)
        made.run()
        yield made


@pytest.fixture
def api(here: Office) -> Iterator[Api]:
    made = Api(here)
    yield made
    made.pool.clear()


@pytest.mark.parametrize("here", [Mode.HYBRID, Mode.ONLINE], indirect=True)
def test_a_write_goes_through_and_comes_back_with_what_the_crm_has_computed(here: Office, api: Api):
    status, made = api("POST", "sobjects/Opportunity", {"Name": "Deal", "StageName": "Closed Won",
                                                        "CloseDate": "2026-03-31", "AccountId": here.acme})  # fmt: skip
    assert status == 201
    assert here.here("Opportunity")[made["id"]]["IsWon"] is True
    here.clock.advance(seconds=3)
    assert api("PATCH", f"sobjects/Opportunity/{made['id']}", {"StageName": "Closed Lost"})[0] == 204
    assert here.here("Opportunity")[made["id"]]["Probability"] == 0
    here.assert_equal()
    assert api("DELETE", f"sobjects/Account/{here.acme}")[0] == 204
    here.assert_equal()  # with what went along
    assert here.work() == {}


def test_what_the_crm_refuses_is_refused_and_leaves_nothing(here: Office, api: Api):
    body = {"Subject": "e", "StartDateTime": "2026-03-02T10:00:00Z", "EndDateTime": "2026-03-02T09:00:00Z"}
    status, told = api("POST", "sobjects/Event", body)
    assert (status, told[0]["errorCode"]) == (400, "FIELD_INTEGRITY_EXCEPTION")
    status, told = api("POST", "sobjects/Account", {"Name": "x", "Nonsense": "y"})
    assert (status, told[0]["errorCode"]) == (400, "INVALID_FIELD")
    assert here.work() == {}
    assert len(here.here("Account")) == 1


@pytest.mark.parametrize("here", [Mode.OFFLINE], indirect=True)
def test_offline_means_here_although_the_upstream_is_there(here: Office, api: Api):
    assert api("PATCH", f"sobjects/Account/{here.acme}", {"Phone": "1"})[0] == 204
    assert here.there("Account")[here.acme]["Phone"] is None
    here.run()
    assert here.there("Account")[here.acme]["Phone"] == "1"


def test_an_outage_is_noticed_and_its_end_too(here: Office, api: Api):
    here.away()
    status, made = api("POST", "sobjects/Account", {"Name": "Beta"})
    assert (status, made["id"][3]) == (201, "z")
    assert here.acting is Mode.OFFLINE
    here.back()
    status, other = api("POST", "sobjects/Contact", {"LastName": "Hopper", "AccountId": made["id"]})
    assert (status, other["id"][3]) == (201, "z")  # it refers to what the CRM does not have
    assert api("PATCH", f"sobjects/Account/{here.acme}", {"Phone": "1"})[0] == 204
    assert here.acting is Mode.HYBRID  # as ever, for `auto`
    assert here.there("Account")[here.acme]["Phone"] == "1"
    here.run()
    here.assert_equal()
    here.assert_nothing_temporary()


def lose_answers(here: Office) -> None:
    writes = here.crm_here.through.writes

    class Deaf:
        def __getattr__(self, name):
            return getattr(writes, name)

        def create(self, rows, *, all_or_none=False):
            writes.create(rows, all_or_none=all_or_none)
            raise Unreachable("the answer is lost")

    object.__setattr__(here.crm_here.through, "writes", Deaf())


def test_a_create_whose_answer_is_lost_is_made_once(here: Office, api: Api):
    lose_answers(here)
    status, made = api("POST", "sobjects/Account", {"Name": "Beta"})
    assert (status, made["id"][3]) == (201, "z")
    here.run()
    here.assert_equal()
    assert [row["Name"] for row in here.there("Account").values()].count("Beta") == 1


def test_nobody_ever_sees_such_a_create_without_its_doubt(here: Office, api: Api):
    """A pass of another thread, or the one after a kill, would have sent it once more."""
    lose_answers(here)
    seen: list[bool] = []

    def committed(connection: sa.Connection) -> None:
        createlist = here.keeper.database.tables.shared.createlist
        seen.extend(row.sent is not None for row in connection.execute(createlist.select()))

    engine = here.keeper.database._engine
    sa.event.listen(engine, "commit", committed)
    try:
        assert api("POST", "sobjects/Account", {"Name": "Beta"})[0] == 201
    finally:
        sa.event.remove(engine, "commit", committed)
    assert seen
    assert all(seen)


def test_such_a_create_is_looked_for_by_the_clock_of_the_crm(here: Office, api: Api):
    """Which is known once the login has been answered: after a restart, when the create is under way."""
    lose_answers(here)
    late, writes = timedelta(minutes=2), here.crm_here.through.writes
    create = writes.create

    def first(*given: Any, **more: Any) -> Any:
        here.between.clock_offset = lambda: -late  # type: ignore[attr-defined]
        return create(*given, **more)

    writes.create = first  # type: ignore[method-assign]
    assert api("POST", "sobjects/Account", {"Name": "Beta"})[0] == 201
    with here.keeper.database.read() as work:
        (entry,) = work.where(work.shared.createlist)
    assert entry["since"] <= naive(here.clock() - late)


@pytest.mark.parametrize("here", [Mode.ONLINE], indirect=True)
def test_online_an_edit_sees_the_record_as_it_is_now(here: Office, api: Api):
    here.clock.advance(seconds=30)
    here.there_update(here.acme, Phone="there")
    assert api("GET", f"sobjects/Account/{here.acme}")[1]["Phone"] == "there"
    here.clock.advance(seconds=30)
    before = "Sun, 01 Mar 2026 12:02:00 GMT"
    status, told = api(
        "PATCH", f"sobjects/Account/{here.acme}", {"Fax": "1"}, **{"If-Unmodified-Since": before}
    )
    assert (status, told[0]["errorCode"]) == (412, "PRECONDITION_FAILED")
    here.there_delete(here.acme)
    assert api("GET", f"sobjects/Account/{here.acme}")[0] == 404


@pytest.mark.parametrize("here", [Mode.ONLINE], indirect=True)
def test_online_a_query_is_answered_by_the_crm_and_without_it_from_here(here: Office, api: Api):
    query = "query?q=SELECT+Name+FROM+Account+ORDER+BY+Name"
    for start in range(0, 2100, 200):
        rows = [("Account", {"Name": f"n{n}"}) for n in range(start, min(start + 200, 2100))]
        here.crm.crm.store.create(here.caller, rows)
    first = api("GET", query)[1]
    assert (first["totalSize"], len(first["records"])) == (2101, 2000)
    second = api("GET", first["nextRecordsUrl"].removeprefix(f"{V}/"))[1]
    assert (second["done"], len(second["records"])) == (True, 101)
    assert api("GET", "query?q=SELECT+Nonsense+FROM+Account")[1][0]["errorCode"] == "INVALID_FIELD"
    here.away()
    assert [row["Name"] for row in api("GET", query)[1]["records"]] == ["Acme"]


@pytest.mark.parametrize("here", [Mode.ONLINE, Mode.HYBRID], indirect=True)
def test_who_wants_to_write_through_is_told_when_that_cannot_be(here: Office, api: Api):
    here.away()
    status, told = api("PATCH", f"sobjects/Account/{here.acme}", {"Phone": "1"})
    assert (status, told[0]["errorCode"]) == (503, "SERVER_UNAVAILABLE")
    assert api("GET", f"sobjects/Account/{here.acme}")[1]["Phone"] is None
    assert here.work() == {}


def test_a_collection_goes_where_each_of_its_rows_can(here: Office, api: Api):
    here.away()
    waiting = api("POST", "sobjects/Account", {"Name": "Beta"})[1]["id"]
    here.back()
    records = [
        {"attributes": {"type": "Contact"}, "LastName": "Through", "AccountId": here.acme},
        {"attributes": {"type": "Contact"}, "LastName": "Waits", "AccountId": waiting},
        {"attributes": {"type": "Contact"}, "FirstName": "Nameless"},
    ]
    status, told = api("POST", "composite/sobjects", {"records": records})
    assert status == 200
    assert [each["success"] for each in told] == [True, True, False]
    assert [told[0]["id"][3] == "z", told[1]["id"][3] == "z"] == [False, True]
    upsert = {"records": [{"attributes": {"type": "Contact"}, "Crmsync_Id__c": "k1", "LastName": "Keyed"}]}
    for created in (True, False):
        assert api("PATCH", "composite/sobjects/Contact/Crmsync_Id__c", upsert)[1][0]["created"] is created
    here.run()
    here.assert_equal()


def test_a_field_that_the_login_may_not_write_is_refused_here_too(here: Office, api: Api):
    here.away()
    status, told = api("PATCH", f"sobjects/Account/{here.acme}", {"CreatedDate": "2026-01-01T00:00:00Z"})
    assert (status, told[0]["errorCode"]) == (400, "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert api("DELETE", f"sobjects/User/{here.crm.sync.id}")[0] == 403
    made = api("POST", "sobjects/Account", {"Name": "Beta"})[1]["id"]
    access = f"UserId='{here.crm.sync.id}'+AND+RecordId+IN+('{made}','{here.crm.sync.id}')"
    query = f"query?q=SELECT+RecordId,HasEditAccess,HasDeleteAccess+FROM+UserRecordAccess+WHERE+{access}"
    rights = {each["RecordId"]: each["HasDeleteAccess"] for each in api("GET", query)[1]["records"]}
    assert rights == {made: True, here.crm.sync.id: False}
    assert api("GET", "query?q=SELECT+Nonsense+FROM+Account")[1][0]["errorCode"] == "INVALID_FIELD"


def test_a_field_that_is_new_upstream_is_there_after_a_pass(here: Office, api: Api):
    reply = dict(here.between.describe("Account"))
    new = {**next(f for f in reply["fields"] if f["name"] == "Fax"), "name": "Shoe__c", "label": "Shoe size"}
    with here.database.read() as work:
        described = dict(work.shapes.replies["Account"])
    here.database.learn({"Account": {**described, "fields": [*described["fields"], new]}})
    assert "Shoe__c" in {f["name"] for f in api("GET", "sobjects/Account/describe")[1]["fields"]}
    assert api("GET", f"sobjects/Account/{here.acme}")[1]["Shoe__c"] is None


def test_after_a_failure_nobody_waits_for_another_one():
    now = [0.0]
    line = Line(monotonic=lambda: now[0], pause=15)
    assert line.writing
    assert not line.reading
    line.fails(Unreachable("gone"))
    assert (line.mode, line.writing) == (Mode.OFFLINE, False)
    now[0] = 15.0
    assert line.writing
    line.answers()
    assert line.mode is Mode.HYBRID


def test_what_a_pass_has_found_out_everybody_knows():
    now, away = [0.0], [True]
    line = Line(away=lambda: away[0], monotonic=lambda: now[0], pause=15)
    assert not line.writing
    now[0] = 15.0
    assert line.writing  # somebody has to look
    line.fails(Unreachable("gone"))
    assert not line.writing
    away[0] = False  # a pass has come through
    assert line.writing
