"""Which occurrence became which."""

from datetime import time

import pytest

from crmsync.connectors.series.shifted import Held, Parts, heirs, survivors


@pytest.mark.parametrize(
    ("vanished", "appeared", "expected"),
    [
        ((), ("20261102",), {}),
        (("20261102",), (), {}),
        # mondays become wednesdays
        (
            ("20261102", "20261109"),
            ("20261104", "20261111"),
            {"20261102": "20261104", "20261109": "20261111"},
        ),
        # one was left out, and another one comes much later
        (("20261102",), ("20261130",), {}),
        (("20261102",), ("20261103",), {"20261102": "20261103"}),
        # fewer than before
        (("20261102", "20261109"), ("20261110",), {"20261109": "20261110"}),
        # a time of its own
        (("20261102T150000",), ("20261102T160000",), {"20261102T150000": "20261102T160000"}),
    ],
)
def test_the_nearest_that_is_nearer_than_the_next(
    vanished: tuple[str, ...], appeared: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert survivors(vanished, appeared) == expected


NINE, TEN = time(9), time(10)


@pytest.mark.parametrize(
    ("ended", "begun", "expected"),
    [
        # a client changes this and all later ones: their time, or their subject
        ({"a#1": Held("1", "x", NINE)}, {"b#1": Held("1", "x", TEN)}, {"a#1": "b#1"}),
        ({"a#1": Held("1", "x", NINE)}, {"b#1": Held("1", "y", NINE)}, {"a#1": "b#1"}),
        # it is another one, or on another day
        ({"a#1": Held("1", "x", NINE)}, {"b#1": Held("1", "y", TEN)}, {}),
        ({"a#1": Held("1", "x", NINE)}, {"b#2": Held("2", "x", NINE)}, {}),
        # none twice
        (
            {"a#1": Held("1", "x", NINE), "c#1": Held("1", "x", NINE)},
            {"b#1": Held("1", "x", NINE)},
            {"a#1": "b#1"},
        ),
        ({"a#1": Held("1", "x", NINE)}, {}, {}),
    ],
)
def test_what_ends_in_one_series_and_begins_in_another(
    ended: dict[str, Held], begun: dict[str, Held], expected: dict[str, str]
) -> None:
    assert heirs(Parts(ended, begun)) == expected
