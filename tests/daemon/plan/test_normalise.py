"""When two values say the same."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Kind, Value
from crmsync.daemon.plan.normalise import alike, email_key, phone_key, rewritten, same, text_key, tidy


@pytest.mark.parametrize(
    ("value", "tidied"),
    [
        ("", None),
        (" \n", None),
        (" a ", "a"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("e\u0301", "\u00e9"),
        ((), None),
        (("b", " a", "b"), ("a", "b")),
        (("", " "), None),
        (False, False),
        (0, 0),
        (None, None),
        (date(2026, 3, 2), date(2026, 3, 2)),
    ],
)
def test_tidy(value: Value, tidied: Value) -> None:
    assert tidy(value) == tidied


@given(st.text() | st.lists(st.text()).map(tuple))
def test_tidy_is_idempotent(value: Value) -> None:
    assert tidy(tidy(value)) == tidy(value)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a", "A"),
        ("a b", "a  b"),
        (False, None),
        (0, None),
        (date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_what_a_person_would_call_a_difference_is_one(a: Value, b: Value) -> None:
    assert not same(a, b)


@pytest.mark.parametrize(
    ("column", "a", "b", "expected"),
    [
        ("last_name", "Straße", "STRASSE", True),
        ("last_name", "Ada", "Ida", False),
        ("phone_work", "+49 30 1234567", "0049 30 1234567", False),
        ("phone_work", "030/123 45 67", "030 1234567", True),
        ("phone_work", "12", "1-2", False),
        ("birthday", date(2026, 3, 2), date(2026, 3, 3), False),
        ("notes", None, "", True),
        ("notes", None, "a", False),
    ],
)
def test_alike(column: str, a: Value, b: Value, expected: bool) -> None:
    assert alike(Kind.CONTACT, column, a, b) is expected
    assert alike(Kind.CONTACT, column, b, a) is expected


def test_alike_with_a_region_reads_national_numbers() -> None:
    assert alike(Kind.CONTACT, "phone_work", "030 1234567", "+49 30 1234567", "DE")


def test_keys() -> None:
    assert text_key("  Ada\u00a0 LOVELACE ") == "ada lovelace"
    assert email_key(" Ada@EXAMPLE.com") == "ada@example.com"
    assert phone_key("+49 (30) 1234567") == "+49301234567"
    assert phone_key("+49 (30) 1234567 ext. 5") == "+49301234567;ext=5"
    assert phone_key("1234") == ""
    assert phone_key("12345") == "12345"


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "sent", "shown"),
    [
        ("notes", "Straße ", "STRASSE"),  # spelt otherwise
        ("notes", "Countess of Lovelace", "Countess of"),  # cut off
        ("notes", "Countess  of Lovelace", "countess of"),  # both
        ("phone_work", "+49 (30) 123-4567", "+49301234567"),
        ("categories", ("A", "b"), ("a", "B")),
        ("categories", ("a",), ("a", "of the server")),
        ("start", NOON, NOON + timedelta(seconds=59)),  # rounded
        ("start", NOON, NOON - timedelta(seconds=59)),
        ("due", NOON, date(2026, 3, 1)),  # a day, wherever the server lives
        ("due", NOON, date(2026, 3, 2)),
        ("due", NOON, date(2026, 3, 3)),
    ],
)
def test_a_server_may_have_rewritten_it(column: str, sent: Value, shown: Value) -> None:
    assert rewritten(Kind.CONTACT if column in COLUMNS[Kind.CONTACT] else Kind.TASK, column, sent, shown)


@pytest.mark.parametrize(
    ("column", "sent", "shown"),
    [
        ("notes", "Countess", "Countess of Lovelace"),
        ("notes", "Countess", "Duchess"),
        ("notes", "Countess", None),
        ("notes", "Countess", " "),
        ("notes", None, "Countess"),
        ("categories", ("a", "b"), ("a",)),
        ("categories", ("a",), ("b",)),
        ("categories", ("a",), "a"),
        ("start", NOON, NOON + timedelta(minutes=1)),
        ("start", NOON, NOON - timedelta(minutes=1)),
        ("start", NOON, NOON + timedelta(hours=1)),
        ("due", NOON, date(2026, 2, 28)),
        ("due", NOON, date(2026, 3, 4)),
        ("due", date(2026, 3, 2), date(2026, 3, 3)),
    ],
)
def test_somebody_else_wrote_it(column: str, sent: Value, shown: Value) -> None:
    assert (
        rewritten(Kind.CONTACT if column in COLUMNS[Kind.CONTACT] else Kind.TASK, column, sent, shown)
        is False
    )
