"""A query that is parsed out of a kept shape is the query that its text says."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.state.replica.soql import MalformedQuery
from crmsync.state.replica.soql.parser import parse as parse_anew
from crmsync.state.replica.soql.recent import parse

SHARED = os.environ.get("CRMSYNC_SHARED")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="aB1 _%\\'é\ue000\U0001f600\n", max_size=4), min_size=3, max_size=3))
def test_strings_are_put_where_they_belong(strings: list[str]) -> None:
    one, two, three = ("'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'" for s in strings)
    text = (
        f"SELECT Id, (SELECT Id FROM Contacts WHERE Name = {one}) FROM Account WHERE Name IN ({two}, {one}) "
        f"AND (NOT Name LIKE {three}) AND Id IN (SELECT AccountId FROM Contact WHERE Name = {two})"
    )
    for _ in range(2):
        made, anew = parse(text), parse_anew(text)
        assert repr(made) == repr(anew)  # places, patterns and text as well


def test_a_refusal_is_about_the_text() -> None:
    text = "SELECT Id FROM Account WHERE Name = 'secret' 'twice'"
    with pytest.raises(MalformedQuery) as refused:
        parse(text)
    assert "'secret' 'twice'" in refused.value.message


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
def test_real_statements() -> None:
    assert SHARED is not None
    for case in json.loads((Path(SHARED) / "soql/valid.json").read_text(encoding="utf-8")):
        assert repr(parse(case["soql"])) == repr(parse_anew(case["soql"]))
