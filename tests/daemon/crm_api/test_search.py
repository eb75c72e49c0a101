"""`search` and `parameterizedSearch` over HTTP."""

import pytest

from tests.daemon.crm_api.conftest import Api


def names(answer: object) -> list[str]:
    assert isinstance(answer, dict)
    return sorted(
        f"{each['attributes']['type']} {each.get('Name', '')}".strip() for each in answer["searchRecords"]
    )


@pytest.fixture
def people(api: Api) -> str:
    """A word that only this test's records have."""
    word = f"q{api.crm.crm.usage.total}x"
    account = api.create("Account", Name=f"{word} Works", Description="makes wheels")
    api.create("Contact", FirstName="Joe", LastName=word, Email=f"joe@{word}.example.com", AccountId=account)
    api.create("Contact", FirstName="Joey", LastName=word, Description=f"of {word} wheels")
    api.create("Lead", LastName="Someone", Company=f"{word}-Trading")
    return word


def test_everything_without_returning(api: Api, people: str) -> None:
    answer = api("GET", "search", q=f"FIND {{{people}}}")
    assert names(answer.json) == ["Account", "Contact", "Contact", "Lead"]
    assert {*answer.json["searchRecords"][0]} == {"attributes", "Id"}


def test_returning(api: Api, people: str) -> None:
    def found(sosl: str) -> list[str]:
        return names(api("GET", "search", q=sosl).json)

    assert found(f"FIND {{joe AND {people}}} RETURNING Contact(Name)") == [f"Contact Joe {people}"]
    assert found(f"FIND {{jo* {people}}} RETURNING Contact(Name ORDER BY Name DESC LIMIT 1)") == [
        f"Contact Joey {people}"
    ]
    assert found(f"FIND {{{people} wheels}} RETURNING Contact(Name), Account(Name)") == [
        f"Account {people} Works",
        f"Contact Joey {people}",
    ]
    assert found(f"FIND {{{people}}} IN EMAIL FIELDS RETURNING Contact(Name)") == [f"Contact Joe {people}"]
    assert found(f"FIND {{{people}}} RETURNING Contact(Name WHERE Account.Name LIKE '%Works')") == [
        f"Contact Joe {people}"
    ]
    assert len(found(f"FIND {{{people}}} LIMIT 2")) == 2


def test_a_deleted_record_is_not_found(api: Api, people: str) -> None:
    lead = api("GET", "search", q=f"FIND {{{people}}} RETURNING Lead").json["searchRecords"][0]["Id"]
    api("DELETE", f"sobjects/Lead/{lead}")
    assert api("GET", "search", q=f"FIND {{{people}}} RETURNING Lead").json == {"searchRecords": []}


def test_only_what_the_user_may_see(api: Api, alice: Api, people: str) -> None:
    api.create("Task", Subject=people)
    assert api("GET", "search", q=f"FIND {{{people}}} RETURNING Task").json["searchRecords"]
    assert not alice("GET", "search", q=f"FIND {{{people}}} RETURNING Task").json["searchRecords"]


@pytest.mark.parametrize(
    ("sosl", "code"),
    [
        ("FIND {a", "MALFORMED_SEARCH"),
        ("FIND {a} RETURNING Nothing", "INVALID_TYPE"),
        ("FIND {a} RETURNING Contact(Nothing)", "INVALID_FIELD"),
        ("FIND {a} RETURNING Contact(Name WHERE Description = 'x')", "INVALID_FIELD"),
        ("FIND {a} WITH NETWORK = 'x'", "FUNCTIONALITY_NOT_ENABLED"),
        ("", "MALFORMED_SEARCH"),
    ],
)
def test_refusals(api: Api, sosl: str, code: str) -> None:
    answer = api("GET", "search", q=sosl)
    assert (answer.status, answer.code) == (400, code)


def test_parameterized(api: Api, people: str) -> None:
    query = {"q": f"joe {people}", "sobject": "contact", "contact.fields": "id,name", "contact.limit": "5"}
    assert names(api("GET", "parameterizedSearch", **query).json) == [f"Contact Joe {people}"]
    body = {"q": people, "fields": ["id", "name"], "sobjects": [{"name": "Contact", "limit": 1}], "in": "ALL"}
    assert len(api("POST", "parameterizedSearch", body).json["searchRecords"]) == 1
    assert len(api("POST", "parameterizedSearch", {"q": people}).json["searchRecords"]) == 4
    assert api("POST", "parameterizedSearch", {"q": "AND"}).json == {
        "searchRecords": []
    }  # a word like others
    for wrong in ({"q": "a", "sobjects": [{"name": "Nothing"}]}, {"q": "?"}, {"q": "a", "in": "SOME"}):
        assert api("POST", "parameterizedSearch", wrong).status == 400


def test_a_field_that_is_asked_for_twice(api: Api, people: str) -> None:
    """As whoever asks for Id and for what names a record does, of an object that nothing else names."""
    body = {"q": people, "sobjects": [{"name": "Contact", "fields": ["Id", "LastName", "id"]}]}
    (found,) = api("POST", "parameterizedSearch", body).json["searchRecords"][:1]
    assert set(found) == {"attributes", "Id", "LastName"}
