"""A description that stands there twice, in plain text and with its looks.

An edit of the one is not hidden by the other; without an edit both stay."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.caldav.mapping import patch, read
from tests.connectors.caldav.test_mapping import event, todo

NOW = datetime(2026, 7, 1, tzinfo=UTC)
PLAIN = "DESCRIPTION:Bring numbers"
OUTLOOK = "X-ALT-DESC;FMTTYPE=text/html:<b>Bring</b> numbers"
STYLED = "STYLED-DESCRIPTION;VALUE=TEXT;FMTTYPE=text/html:<p><b>Bring</b>\\, numbers</p>"
THUNDERBIRD = 'DESCRIPTION;ALTREP="data:text/html,%3Cb%3EBring%3C%2Fb%3E%20numbers":Bring numbers'
BOTH = [(PLAIN, OUTLOOK), (OUTLOOK, PLAIN), (PLAIN, STYLED), (THUNDERBIRD,), (PLAIN, OUTLOOK, STYLED)]


def meeting(*lines: str) -> str:
    return event("DTSTART:20260701T100000Z", "SUMMARY:Budget", *lines)


def lines(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")


@pytest.mark.parametrize("given", BOTH)
@pytest.mark.parametrize("wanted", ["Bring coffee", None])
@pytest.mark.parametrize("make", [meeting, todo])
def test_an_edit_is_all_that_is_left(make: object, given: tuple[str, ...], wanted: str | None) -> None:
    text = patch(make(*given), {"description": wanted}, now=NOW)  # type: ignore[operator]
    assert read(text).columns["description"] == wanted
    assert [each for each in lines(text) if "DESC" in each] == ([f"DESCRIPTION:{wanted}"] if wanted else [])
    assert "numbers" not in text


@pytest.mark.parametrize("given", BOTH)
def test_without_an_edit_nothing_is_flattened(given: tuple[str, ...]) -> None:
    text = patch(meeting(*given), {"subject": "Other", "description": "Bring numbers"}, now=NOW)
    assert read(text).columns["description"] == "Bring numbers"
    assert [each for each in lines(text) if "DESC" in each] == list(given)


@pytest.mark.parametrize("given", [(OUTLOOK,), (STYLED,), ("DESCRIPTION:", OUTLOOK)])
def test_looks_alone_are_no_opinion(given: tuple[str, ...]) -> None:
    text = meeting(*given)
    assert "description" not in read(text).columns
    assert patch(text, {"description": None}, now=NOW) == text


def test_an_empty_one_with_its_looks_is_empty() -> None:
    assert read(meeting("X-ALT-DESC;FMTTYPE=text/html:")).columns["description"] is None


_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")), max_size=30
)


@given(st.sampled_from(BOTH), st.lists(st.none() | _texts, max_size=4))
def test_what_was_edited_last_is_what_is_read(given: tuple[str, ...], edits: list[str | None]) -> None:
    text, before = meeting(*given), "Bring numbers"
    for each in edits:
        text = patch(text, {"description": each}, now=NOW)
        told = read(text).columns["description"]
        assert told == (((each or "").strip() and each) or None)
        before = before if told == before else ""
    kept = [each for each in lines(text) if "html" in each]
    assert (kept != []) == (before != "")
