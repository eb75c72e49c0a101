import string
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Kind, Value
from crmsync.state.values import decode, decode_columns, encode, encode_columns, escape, type_of, unescape

ANY_TEXT = st.text(st.integers(0, 0x10FFFF).map(chr))  # surrogates, control characters, everything
TRICKY = st.text(
    st.sampled_from(["\\", "u", "0", "5", "c", "\0", "\r", "\n", "\x0b", "￾", "\ud800", "<", "é"])
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)
OF_TYPE: dict[Type, st.SearchStrategy[Value]] = {
    **dict.fromkeys((Type.TEXT, Type.LONG, Type.EMAIL, Type.PHONE, Type.URL), ANY_TEXT | TRICKY),
    Type.DATE: st.dates(),
    Type.MOMENT: MOMENTS | st.dates(),
    Type.FLAG: st.booleans(),
    Type.NUMBER: st.integers(),
    Type.LIST: st.lists(ANY_TEXT | TRICKY, max_size=4).map(lambda entries: tuple(sorted(set(entries)))),
}


@pytest.mark.parametrize("type", Type)
@given(data=st.data())
def test_every_value_comes_back(type: Type, data: st.DataObject) -> None:
    value = data.draw(OF_TYPE[type] | st.none())
    text = encode(value)
    back = decode(type, text)
    assert back == value
    assert back.__class__ is value.__class__
    assert isinstance(back, datetime) is False or back.tzinfo is UTC


@given(ANY_TEXT | TRICKY)
def test_escaped_text_can_stand_in_xml_and_in_any_database(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert "\0" not in escaped
    element = etree.Element("text")
    element.text = escaped  # lxml refuses what XML cannot hold
    escaped.encode()


@given(
    st.text(string.printable).filter(
        lambda text: "\\u" not in text and "\x0b" not in text and "\x0c" not in text
    )
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("C:\\users", "C:\\u005cusers"),
        ("C:\\Windows", "C:\\Windows"),
        ("bell \x07", "bell \\u0007"),
        (True, "true"),
        (-5, "-5"),
        (date(1815, 12, 10), "1815-12-10"),
        (datetime(2026, 11, 22, 11, tzinfo=timezone(timedelta(hours=1))), "2026-11-22T10:00:00Z"),
        (datetime(2026, 11, 22, 10, 0, 0, 5, tzinfo=UTC), "2026-11-22T10:00:00.000005Z"),
        (("CRM", "Crème"), '["CRM", "Crème"]'),
        ((), "[]"),
        ("", ""),
        (None, None),
    ],
)
def test_the_written_form_does_not_change(value: Value, text: str | None) -> None:
    assert encode(value) == text


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (Type.DATE, "yesterday"),
        (Type.MOMENT, "2026-11-22T10:00:00"),
        (Type.FLAG, "yes"),
        (Type.NUMBER, "many"),
        (Type.LIST, '{"a": 1}'),
        (Type.LIST, "[1]"),
        (Type.LIST, "[["),
    ],
)
def test_text_that_no_value_has_is_refused(type: Type, text: str) -> None:
    with pytest.raises(ValueError):
        decode(type, text)


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        encode(datetime(2026, 11, 22))


def test_columns_are_read_by_the_types_of_their_kind() -> None:
    columns = {
        "subject": "1815-12-10",
        "all_day": True,
        "start": date(2026, 1, 1),
        "categories": ("a",),
        "end": None,
    }
    assert decode_columns(Kind.APPOINTMENT, encode_columns(columns)) == columns
    assert type_of(Kind.CONTACT, "birthday") is Type.DATE


def test_a_column_that_the_contract_does_not_know_is_text() -> None:
    assert "nonesuch" not in COLUMNS[Kind.EMAIL]
    assert type_of(Kind.EMAIL, "nonesuch") is Type.TEXT
