"""Quick actions and process rules, as jsforce's tests of a real organisation use them."""

from tests.daemon.crm_api.conftest import Api, V


def test_what_is_offered(api: Api) -> None:
    offered = {each["name"]: each for each in api("GET", "quickActions").json}
    assert {"LogACall", "NewTask", "NewContact"} <= offered.keys()
    call = offered["LogACall"]
    assert (call["label"], call["type"], call["urls"]["describe"]) == (
        "Log a Call", "LogACall", f"{V}/quickActions/LogACall/describe",
    )  # fmt: skip
    assert api("GET", "quickActions/logacall").json == call
    assert (
        api("GET", "sobjects/Account/quickActions")
        .json[0]["urls"]["quickAction"]
        .startswith(f"{V}/sobjects/Account/")
    )
    told = api("GET", call["urls"]["describe"]).json
    assert (told["targetSobjectType"], bool(told["layout"]["layoutRows"])) == ("Task", True)
    for path in ("quickActions/Nonsense", "quickActions/Nonsense/describe", "sobjects/Nonsense/quickActions"):
        assert api("GET", path).status == 404


def test_a_call_is_logged(api: Api) -> None:
    account = api.create("Account", Name="Acme")
    empty = api("GET", "quickActions/LogACall/defaultValues").json
    assert [empty[name] for name in ("Description", "WhoId", "WhatId", "Status")] == [
        None,
        None,
        None,
        "Completed",
    ]
    assert api("GET", f"quickActions/LogACall/defaultValues/{account}").json["WhatId"] == account
    asked = {"contextId": account, "record": {"subject": "My call", "Description": "x"}}
    made = api("POST", "quickActions/LogACall", asked)
    assert (made.status, made.json["success"], made.json["contextId"]) == (201, True, account)
    task = api("GET", f"sobjects/Task/{made.json['id']}").json
    shown = [task[name] for name in ("Subject", "Description", "TaskSubtype", "Status", "WhatId")]
    assert shown == ["My call", "x", "Call", "Completed", account]


def test_beside_whom(api: Api) -> None:
    account = api.create("Account", Name="Acme")
    asked = {"contextId": account, "record": {"LastName": "Smith"}}
    made = api("POST", "sobjects/Account/quickActions/NewContact", asked).json["id"]
    assert api("GET", f"sobjects/Contact/{made}").json["AccountId"] == account
    task = api("POST", "quickActions/NewTask", {"contextId": made, "record": {"Subject": "x"}}).json["id"]
    assert api("GET", f"sobjects/Task/{task}").json["WhoId"] == made


def test_actions_that_fail(api: Api, alice: Api) -> None:
    assert api("POST", "quickActions/NewContact", {"record": {}}).code == "REQUIRED_FIELD_MISSING"
    assert api("POST", "quickActions/NewContact", {"contextId": 1}).code == "JSON_PARSER_ERROR"
    assert api("POST", "quickActions/NewContact", {"contextId": "bad", "record": {}}).code == "MALFORMED_ID"
    hidden = api.create("ContentVersion", PathOnClient="x", VersionData="eA==")
    assert alice("GET", f"quickActions/NewTask/defaultValues/{hidden}").status == 404


def test_there_are_no_rules(api: Api) -> None:
    account = api.create("Account", Name="Acme")
    assert api("GET", "process/rules").json == {"rules": {}}
    assert api("GET", "process/approvals").json == {"approvals": {}}
    assert api("POST", "process/rules", {"contextIds": [account]}).json == {"errors": None, "success": True}
    assert api("POST", "process/rules", {"contextIds": ["001000000000000AAA"]}).status == 404
