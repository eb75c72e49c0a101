"""A list of people, each of whom is merged by itself: the table of ``members``, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.daemon.plan.members import Members, listed, merged, people

A, YES = {"a": ""}, {"a": "accepted"}
NONE: dict[str, str] = {}


@pytest.mark.parametrize(
    ("ecs_was", "ecs", "crm_was", "crm", "come", "to_ecs", "to_crm"),
    [
        pytest.param(NONE, A, NONE, NONE, "", A, A, id="asked in the calendar: offered to the CRM"),
        pytest.param(NONE, A, NONE, A, "", A, A, id="asked on both sides"),
        pytest.param(A, NONE, A, A, "", NONE, NONE, id="taken out in the calendar: and in the CRM"),
        pytest.param(A, NONE, NONE, NONE, "", NONE, NONE, id="taken out, and never known to the CRM"),
        pytest.param(NONE, NONE, NONE, A, "", A, A, id="added in the CRM: and in the calendar"),
        pytest.param(A, A, A, NONE, "", A, NONE, id="gone from the CRM: stays in the calendar"),
        pytest.param(A, A, NONE, NONE, "", A, NONE, id="not known to the CRM: not offered again"),
        pytest.param(A, A, NONE, NONE, "a", A, A, id="known by now: offered again"),
        pytest.param(A, NONE, NONE, NONE, "a", NONE, NONE, id="known by now, and taken out"),
        pytest.param(A, YES, A, A, "", YES, YES, id="answered: the word goes to the CRM"),
        pytest.param(A, A, A, YES, "", A, YES, id="answered in the CRM: stays there"),
        pytest.param(A, NONE, NONE, A, "", NONE, NONE, id="taken out here, added there: the calendar's word"),
        pytest.param(
            A, A, A, {"b": ""}, "", A, {"b": ""}, id="one left and one came in the CRM: an address was changed"
        ),
        pytest.param(
            {**A, "b": ""}, A, {**A, "b": ""}, {**A, "b": "", "c": ""}, "", {**A, "c": ""}, {**A, "c": ""},
            id="taken out here, another added there",
        ),
    ],
)  # fmt: skip
def test_what_becomes_of_one(
    ecs_was: dict[str, str],
    ecs: dict[str, str],
    crm_was: dict[str, str],
    crm: dict[str, str],
    come: str,
    to_ecs: dict[str, str],
    to_crm: dict[str, str],
) -> None:
    result = merged(ecs_was, ecs, crm_was, crm, frozenset(come))
    assert (result.ecs, result.crm) == (to_ecs, to_crm)


_some = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(("", "accepted", "declined")), max_size=4)


@given(_some, _some, _some, _some, st.sets(st.sampled_from("abcde")))
def test_nobody_is_ever_taken_out_of_the_calendar(
    ecs_was: dict[str, str], ecs: dict[str, str], crm_was: dict[str, str], crm: dict[str, str], come: set[str]
) -> None:
    result = merged(ecs_was, ecs, crm_was, crm, come)
    assert ecs.items() <= result.ecs.items()
    assert result.ecs.keys() <= ecs.keys() | crm.keys()
    assert result.crm.keys() <= result.ecs.keys() | crm.keys()


@given(_some, _some, _some, _some, st.sets(st.sampled_from("abcde")), st.sets(st.sampled_from("abcde")))
def test_once_in_step_nothing_is_written_again(
    ecs_was: dict[str, str],
    ecs: dict[str, str],
    crm_was: dict[str, str],
    crm: dict[str, str],
    come: set[str],
    known: set[str],
) -> None:
    """``known``: whom the CRM can hold beside those that it shows."""
    first = merged(ecs_was, ecs, crm_was, crm, come)
    shows = {n: w for n, w in first.crm.items() if n in known or n in crm}
    assert merged(first.ecs, first.ecs, shows, shows) == Members(first.ecs, shows, frozenset(), frozenset())


@given(_some, _some)
def test_those_who_meet_for_the_first_time_are_all_there(ecs: dict[str, str], crm: dict[str, str]) -> None:
    result = merged({}, ecs, {}, crm)
    assert result.ecs.keys() == ecs.keys() | crm.keys() == result.crm.keys()


def test_what_is_no_list_of_people_is_none() -> None:
    assert people(None) == people("a") == people(("", " ")) == {}
    assert listed({}) is None
