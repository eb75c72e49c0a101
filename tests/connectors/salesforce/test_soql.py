import re
from datetime import UTC, date, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.salesforce import soql

HOSTILE = [
    "' OR Name != '",
    "\\' OR '1'='1",
    "\\",
    "\\\\'",
    "a'b\"c",
    "x') OR (Id != null",
    "é漢🎉",
    "line\r\n\tend",
]


def unquoted(text: str) -> str:
    """What a server reads: SOQL's escapes undone. Fails where the literal ends early."""
    assert re.fullmatch(r"'(?:[^'\\\n\r]|\\['\"\\nrt])*'", text), text
    undone = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda m: undone.get(m[1], m[1]), text[1:-1])


@pytest.mark.parametrize("value", HOSTILE)
def test_quotes_what_would_break_out(value: str) -> None:
    assert unquoted(soql.quote(value)) == value


@settings(max_examples=150)
@given(st.text())
def test_every_literal_ends_where_it_should(value: str) -> None:
    assert unquoted(soql.quote(value)) == soql.clean(value)


@pytest.mark.parametrize("value", [*HOSTILE, "a&b=c;d+e%20f#g?h", "SELECT Id,Name FROM X WHERE T >= 1:2"])
def test_a_url_carries_it_as_it_is(value: str) -> None:
    url = f"http://example.com/query?q={soql.encoded(value)}"
    assert parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True) == {"q": [value]}


def test_leaves_out_what_no_field_can_hold() -> None:
    assert soql.quote("a\0b\x1bc\ud800d") == "'abcd'"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:00:00.000Z"),
        ("it's", r"'it\'s'"),
    ],
)
def test_literals(value: str | date | None, written: str) -> None:
    assert soql.literal(value) == written


@pytest.mark.parametrize("name", ["LastName", "My_Field__c", "Account.Owner.Name"])
def test_names(name: str) -> None:
    assert soql.name(name) == name


@pytest.mark.parametrize("name", ["", "Last Name", "a,b", "Id FROM User--", "1st", "a..b", "x)"])
def test_refuses_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        soql.name(name)


def test_ids_of_18_characters() -> None:
    assert soql.id18("00D000000000001") == "00D000000000001EAA"
    assert soql.id18("003aB0000CdEfGh") == soql.id18(soql.id18("003aB0000CdEfGh"))
    assert not soql.is_id("003' OR Id != '")
    with pytest.raises(ValueError, match="no record id"):
        soql.id18("short")


def test_conditions_stay_within_the_room() -> None:
    conditions = [f"Subject = {soql.quote('ü' * n)}" for n in range(60)]
    joined = list(soql.any_of(conditions, 2000))
    assert len(joined) > 1
    assert all(soql.encoded_size(j) <= 2000 for j in joined)
    assert [c for j in joined for c in j[1:-1].split(") OR (")] == conditions


def test_a_single_condition_may_be_larger_than_the_room() -> None:
    assert list(soql.any_of(["x" * 50, "y"], 10)) == [f"({'x' * 50})", "(y)"]


def test_all_of() -> None:
    assert soql.all_of("", "a = 1") == "a = 1"
    assert soql.all_of("a = 1", "b = 2 OR c = 3") == "(a = 1) AND (b = 2 OR c = 3)"
