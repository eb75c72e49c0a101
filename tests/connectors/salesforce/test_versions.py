"""A version says when a record was changed: which of two came first shows that the organisation was restored."""

from typing import Any, cast

import pytest

from crmsync.connectors.abilities import Ordered
from crmsync.connectors.salesforce.copying import BesideCopy, OnCopy
from crmsync.connectors.salesforce.reading import SalesforceConnector

NONE = cast(Any, None)
EARLY, LATE = "2026-01-01T10:00:00.000+0000", "2026-01-01T10:02:01.000+0000"
MADE = {
    "the object": SalesforceConnector(NONE, NONE, NONE),
    "with a copy beside it": BesideCopy(NONE, NONE, NONE, NONE),
    "the copy": OnCopy(NONE, NONE, NONE, NONE),
}


@pytest.mark.parametrize(
    ("version", "other", "precedes"),
    [
        (EARLY, LATE, True),
        (EARLY, "2026-01-01T10:02:00.000+0000", False),  # a transaction that took long
        (EARLY, "2026-01-01T10:02:01Z", True),
        ("no time", LATE, False),
        (LATE, EARLY, False),
        (EARLY, EARLY, False),
        (EARLY, f"{EARLY}~content", False),
        (EARLY, f"{LATE}~content", True),
        (f"{EARLY}^people~content", f"{LATE}^others", True),
    ],
)
def test_which_came_first(version: str, other: str, precedes: bool) -> None:
    assert MADE["the object"].precedes(version, other) is precedes


@pytest.mark.parametrize("name", MADE)
def test_beside_a_copy_it_cannot_be_told_since_the_copy_has_a_clock_of_its_own(name: str) -> None:
    connector = MADE[name]
    assert isinstance(connector, Ordered)
    assert connector.precedes(EARLY, LATE) is (name == "the object")
