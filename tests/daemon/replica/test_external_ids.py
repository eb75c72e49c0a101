"""External ids, which several records may share where the CRM does not say that they are unique."""

from collections.abc import Iterator
from typing import Any

import pytest

from crmsync.daemon.replica.modes import Mode
from tests.daemon.replica.office import Office, office
from tests.daemon.replica.test_modes import Api, V

KEY = "Crmsync_Id__c"


@pytest.fixture(scope="module")
def office_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office"), mode=Mode.OFFLINE) as made:
        made.run()
        reply = dict(made.between.describe("Lead"))
        reply["fields"] = [{**f, "unique": False} if f["name"] == KEY else f for f in reply["fields"]]
        made.database.learn({"Lead": reply})
        yield made


@pytest.fixture
def here(office_: Office) -> Office:
    with office_.database.write() as work:
        for table in (
            work.shared.createlist,
            *(work.group(name).main for name in ("Lead", "Task", "Contact")),
        ):
            work.connection.execute(table.delete())
    return office_


def record(name: str, **values: Any) -> dict[str, Any]:
    return {"attributes": {"type": name}, **values}


def lead(name: str, key: str) -> dict[str, Any]:
    return record("Lead", LastName=name, Company="c", **{KEY: key})


def task(key: str) -> dict[str, Any]:
    return record("Task", Subject=key, Who=record("Lead", **{KEY: key}), **{KEY: f"t-{key}"})


def test_an_external_id_of_several_records_names_them_all(here: Office):
    api = Api(here)
    ids = [api("POST", "sobjects/Lead", lead(name, "Two"))[1]["id"] for name in ("a", "b")]
    one = api("PATCH", f"sobjects/Lead/{KEY}/One", {"LastName": "c", "Company": "c"})[1]["id"]
    choices = (300, [f"{V}/sobjects/Lead/{each}" for each in sorted(ids)])
    for method, body in (("GET", None), ("PATCH", {"LastName": "x"}), ("DELETE", None)):
        assert api(method, f"sobjects/Lead/{KEY}/two", body) == choices
    assert {row["LastName"] for row in here.here("Lead").values()} == {"a", "b", "c"}
    upserts = {"records": [lead(key, key) for key in ("two", "one", "new")]}
    status, told = api("PATCH", f"composite/sobjects/Lead/{KEY}", upserts)
    assert (status, [each["success"] for each in told]) == (200, [False, True, True])
    assert told[0]["errors"][0]["statusCode"] == "DUPLICATE_EXTERNAL_ID"
    assert all(each in told[0]["errors"][0]["message"] for each in ids)
    assert (told[1]["id"], told[1]["created"], told[2]["created"]) == (one, False, True)


def test_a_parent_may_be_named_by_its_external_id_if_that_is_one_records(here: Office):
    api = Api(here)
    one = api("POST", "sobjects/Lead", lead("a", "One"))[1]["id"]
    for name in ("b", "c"):
        api("POST", "sobjects/Lead", lead(name, "Two"))
    below = {"records": [task(key) for key in ("one", "two", "none")]}
    for created in (True, False):
        told = api("PATCH", f"composite/sobjects/Task/{KEY}", below)[1]
        done = [(each["success"], each["created"]) for each in told]
        assert done == [(True, created), (False, True), (False, True)]  # they would have been
        codes = [each["errors"][0]["statusCode"] for each in told[1:]]
        assert codes == ["DUPLICATE_EXTERNAL_ID", "INVALID_FIELD"]
    assert [row["WhoId"] for row in here.here("Task").values()] == [one]
    status, told = api("PATCH", f"sobjects/Task/{KEY}/t-one", {"Who": record("Lead", **{KEY: "two"})})
    assert (status, told[0]["errorCode"], told[0]["fields"]) == (400, "DUPLICATE_EXTERNAL_ID", ["WhoId"])


def test_a_value_that_must_be_unique_is_had_once(here: Office):
    api = Api(here)
    body = {"LastName": "l", KEY: "k"}
    assert api("POST", "sobjects/Contact", body)[0] == 201
    status, told = api("POST", "sobjects/Contact", body)
    assert (status, told[0]["errorCode"]) == (400, "DUPLICATE_VALUE")
