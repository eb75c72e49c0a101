"""Files as versions of documents, and other objects that programs take for granted."""

import base64
from typing import Any

from tests.daemon.crm_api.conftest import Api

BYTES = b"\x00\xffabc\n"
DATA = base64.b64encode(BYTES).decode()


def _rows(api: Api, query: str) -> list[dict[str, Any]]:
    answer = api("GET", "query", q=query)
    assert answer.status == 200, answer.body
    return [{k: v for k, v in row.items() if k != "attributes"} for row in answer.json["records"]]


def _upload(api: Api, **more: str) -> tuple[str, str]:
    """Ids of version and document."""
    made = api.create("ContentVersion", PathOnClient="C:\\offers\\Offer 1.PDF", VersionData=DATA, **more)
    return made, api("GET", f"sobjects/ContentVersion/{made}").json["ContentDocumentId"]


def test_a_file_comes_with_its_document(api: Api) -> None:
    account = api.create("Account", Name="Acme")
    version, document = _upload(api, FirstPublishLocationId=account)
    shown = api("GET", f"sobjects/ContentVersion/{version}").json
    names = ("Title", "FileExtension", "FileType", "ContentSize", "VersionNumber", "IsLatest")
    assert [shown[name] for name in names] == ["Offer 1", "PDF", "PDF", 6, "1", True]
    assert api("GET", shown["VersionData"]).body == BYTES
    asked = "SELECT Title, ContentSize, LatestPublishedVersion.VersionData FROM ContentDocument"
    (found,) = _rows(api, f"{asked} WHERE Id = '{document}'")
    assert (found["Title"], found["ContentSize"]) == ("Offer 1", 6)
    assert api("GET", found["LatestPublishedVersion"]["VersionData"]).body == BYTES
    links = "SELECT LinkedEntityId, ShareType FROM ContentDocumentLink"
    linked = _rows(api, f"{links} WHERE ContentDocumentId = '{document}' ORDER BY ShareType DESC")
    assert linked == [
        {"LinkedEntityId": account, "ShareType": "V"},
        {"LinkedEntityId": api.crm.sync.id, "ShareType": "I"},
    ]
    (seen,) = _rows(
        api,
        f"SELECT (SELECT ContentDocument.Title FROM ContentDocumentLinks) FROM Account WHERE Id = '{account}'",
    )
    assert seen["ContentDocumentLinks"]["records"][0]["ContentDocument"]["Title"] == "Offer 1"


def test_the_next_version(api: Api) -> None:
    first, document = _upload(api)
    second = api.create(
        "ContentVersion", ContentDocumentId=document, PathOnClient="o.txt", VersionData="eA==", Title="New"
    )
    versions = (
        f"SELECT Id, VersionNumber, IsLatest FROM ContentVersion WHERE ContentDocumentId = '{document}'"
    )
    assert _rows(api, f"{versions} ORDER BY VersionNumber") == [
        {"Id": first, "VersionNumber": "1", "IsLatest": False},
        {"Id": second, "VersionNumber": "2", "IsLatest": True},
    ]
    assert api("PATCH", f"sobjects/ContentVersion/{second}", {"Title": "Newer"}).status == 204
    (found,) = _rows(
        api, f"SELECT Title, LatestPublishedVersionId FROM ContentDocument WHERE Id = '{document}'"
    )
    assert found == {"Title": "Newer", "LatestPublishedVersionId": second}
    assert api("DELETE", f"sobjects/ContentDocument/{document}").status == 204
    assert _rows(api, versions) == []


def test_whose_files_are_seen(api: Api, alice: Api) -> None:
    version, document = _upload(api)
    for path in (
        f"ContentVersion/{version}",
        f"ContentVersion/{version}/VersionData",
        f"ContentDocument/{document}",
    ):
        assert alice("GET", f"sobjects/{path}").status == 404
    account = alice.create("Account", Name="Hers")
    link = {"LinkedEntityId": account, "ContentDocumentId": document}
    assert alice("POST", "sobjects/ContentDocumentLink", link).status in (400, 403)
    stolen = {"ContentDocumentId": document, "PathOnClient": "x", "VersionData": DATA}
    assert alice("POST", "sobjects/ContentVersion", stolen).status in (400, 403)
    _, hers = _upload(alice)
    assert alice("GET", f"sobjects/ContentDocument/{hers}").status == 200


def test_a_file_needs_a_name(api: Api) -> None:
    answer = api("POST", "sobjects/ContentVersion", {"VersionData": DATA})
    assert (answer.code, answer.json[0]["fields"]) == ("REQUIRED_FIELD_MISSING", ["PathOnClient"])
    assert api("POST", "sobjects/ContentDocument", {"Title": "x"}).status in (400, 403)


def test_a_comment_on_a_case(api: Api) -> None:
    case = api.create("Case", Subject="x", Comments="first")
    assert api("PATCH", f"sobjects/Case/{case}", {"Comments": "second"}).status == 204
    asked = f"SELECT CommentBody, Parent.Subject FROM CaseComment WHERE ParentId = '{case}' ORDER BY Id"
    assert [(each["CommentBody"], each["Parent"]["Subject"]) for each in _rows(api, asked)] == [
        ("first", "x"),
        ("second", "x"),
    ]
    assert api("GET", f"sobjects/Case/{case}").json["Comments"] is None


def test_hours_of_a_day(api: Api) -> None:
    (hours,) = _rows(api, "SELECT Id, MondayStartTime FROM BusinessHours WHERE IsDefault = true")
    assert hours["MondayStartTime"] == "00:00:00.000Z"
    address = f"sobjects/BusinessHours/{hours['Id']}"
    assert api("PATCH", address, {"MondayStartTime": "23:59:00.000Z"}).status == 204
    assert api("GET", address).json["MondayStartTime"] == "23:59:00.000Z"
    for bad in ("24:00", "09:00+02:00", 9, "x"):
        assert api("PATCH", address, {"MondayStartTime": bad}).code == "JSON_PARSER_ERROR"


def test_what_is_there_and_empty(api: Api) -> None:
    assert _rows(api, "SELECT Id, PreviousFireTime FROM CronTrigger") == []
    made = api.create("ApexEmailNotification", UserId=api.crm.sync.id)
    twice = api("POST", "sobjects/ApexEmailNotification", {"UserId": api.crm.sync.id})
    assert twice.code == "DUPLICATE_VALUE"
    assert api("DELETE", f"sobjects/ApexEmailNotification/{made}").status == 204
