"""Which categories say what a task stands for."""

import pytest

from crmsync.connectors.activities import activity_of, marked, others


@pytest.mark.parametrize(
    ("words", "activity"),
    [
        ((), None),
        (("CRM", "Blue"), None),
        (("CRM", "phone CALL"), "phone_call"),
        (("Fax", "Letter"), "letter"),  # of several, always the same one
    ],
)
def test_read(words: tuple[str, ...], activity: str | None) -> None:
    assert activity_of(words) == activity
    assert activity_of(marked(words, activity)) == activity


def test_written_beside_the_others_and_spelt_as_it_was() -> None:
    assert marked(("Blue", "Fax"), "letter") == ("Blue", "Letter")
    assert marked(("Blue", "FAX", "Letter"), "fax") == ("Blue", "FAX")
    assert marked(("Blue", "fax"), None) == others(("Blue", "fax")) == ("Blue",)
