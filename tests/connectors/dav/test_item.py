"""The link stamp as a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.caldav import mapping as caldav
from crmsync.connectors.carddav import mapping as carddav
from crmsync.connectors.contract import Stamp
from crmsync.connectors.dav.contentline import escape
from crmsync.connectors.dav.item import Format, format_stamp, parse_stamp

FORMATS: tuple[Format, ...] = (carddav, caldav)  # both have the shape


def test_a_stamp_is_six_words() -> None:
    stamp = Stamp("00D1", "0031", "uid with blank", 7, "abc")
    assert format_stamp(stamp) == "v1 00D1 0031 uid%20with%20blank 7 abc"


@given(st.builds(Stamp, st.text(), st.text(), st.text(), st.integers(0, 10**15), st.text()))
def test_round_trip_and_no_escaping_needed(stamp: Stamp) -> None:
    text = format_stamp(stamp)
    assert parse_stamp(text) == stamp
    assert escape(text) == text
    assert text.isprintable()


@pytest.mark.parametrize(
    "text", ["", "v1", "v2 a b c 1 d", "v1 a b c x d", "v1 a b c 1", "v1 a b c -1 d", "v1 a b c ² d"]
)
def test_what_is_none(text: str) -> None:
    assert parse_stamp(text) is None
