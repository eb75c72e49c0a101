"""Which occurrence became which."""

import pytest

from crmsync.connectors.series.shifted import survivors


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
