"""The three-way difference: its table row by row, and what holds for any rows."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.state.replica.local.difference import Clash, Difference, Policy, Winner, difference

NOON = datetime(2026, 3, 1, 12)
EARLIER, LATER = NOON - timedelta(minutes=1), NOON + timedelta(minutes=1)
A, B, C = "a", "b", "c"


def one(
    orig: object,
    main: object,
    synced: object,
    policy: Policy = Policy.LATEST,
    here: datetime | None = LATER,
    there: datetime | None = NOON,
    *,
    writable: bool = True,
) -> Difference:
    return difference(
        {"F": orig},
        {"F": main},
        {"F": synced},
        writable=["F"] if writable else [],
        policy=policy,
        changed={"F": here} if here else {},
        modified=there,
    )


def shown(found: Difference) -> tuple[object, object, object]:
    """main, orig, and what is sent (- for nothing)."""
    return found.main["F"], found.orig["F"], found.send.get("F", "-")


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(
    ("orig", "main", "synced", "result"),
    [
        (A, A, A, (A, A, "-")),  # nothing
        (A, B, A, (B, A, B)),  # is sent
        (A, A, B, (B, B, "-")),  # is taken
        (A, B, B, (B, B, "-")),  # agreed
        (A, None, A, (None, A, None)),  # emptied here
        (A, A, None, (None, None, "-")),  # emptied there
        (None, B, B, (B, B, "-")),  # filled with the same
    ],
)
def test_where_at_most_one_side_changed_no_policy_matters(policy, orig, main, synced, result):
    found = one(orig, main, synced, policy)
    assert shown(found) == result
    assert found.clashes == ()


@pytest.mark.parametrize(
    ("policy", "here", "there", "winner", "result"),
    [
        (Policy.LATEST, LATER, NOON, Winner.LOCAL, (B, C, B)),
        (Policy.LATEST, EARLIER, NOON, Winner.SERVER, (C, C, "-")),
        (Policy.LATEST, NOON, NOON, Winner.SERVER, (C, C, "-")),  # a tie is the CRM's
        (Policy.LATEST, None, NOON, Winner.HELD, (B, A, "-")),  # nobody can say
        (Policy.LATEST, LATER, None, Winner.HELD, (B, A, "-")),
        (Policy.LOCAL, EARLIER, NOON, Winner.LOCAL, (B, C, B)),
        (Policy.SERVER, LATER, NOON, Winner.SERVER, (C, C, "-")),
        (
            Policy.HOLD,
            LATER,
            NOON,
            Winner.HELD,
            (B, A, "-"),
        ),  # a person sees the own value until it is decided
    ],
)
def test_where_both_sides_changed_the_policy_decides(policy, here, there, winner, result):
    found = one(A, B, C, policy, here, there)
    assert shown(found) == result
    assert found.clashes == (Clash(("F",), winner),)


@pytest.mark.parametrize(("orig", "main", "synced"), list(product((A, B), repeat=3)))
def test_what_cannot_be_written_upstream_is_the_upstreams(orig, main, synced):
    assert shown(one(orig, main, synced, Policy.LOCAL, writable=False)) == (synced, synced, "-")


UNIT = ("Start", "End", "Minutes")


def unit(orig, main, synced, policy=Policy.HOLD, writable=("Start", "End")):
    rows = [dict(zip(UNIT, row, strict=True)) for row in (orig, main, synced)]
    return difference(
        *rows, writable=writable, policy=policy, changed={"Start": LATER}, modified=NOON, units=[UNIT]
    )


def test_fields_of_a_unit_clash_although_each_side_changed_another():
    """A start of one side with an end of the other would be a meeting that nobody made."""
    found = unit((9, 10, 60), (8, 10, 120), (9, 11, 120))
    assert found.clashes == (Clash(UNIT, Winner.HELD),)
    assert found.send == {}
    assert found.orig == dict(zip(UNIT, (9, 10, 60), strict=True))


def test_the_unit_of_the_winner_is_sent_as_far_as_it_differs():
    found = unit((9, 10, 60), (8, 10, 60), (9, 11, 120), Policy.LOCAL)
    assert found.send == {"Start": 8, "End": 10}
    assert found.main == dict(zip(UNIT, (8, 10, 60), strict=True))


def test_a_computed_field_alone_is_nobodys_edit():
    found = unit((9, 10, None), (9, 10, None), (9, 10, 60))
    assert (found.send, found.clashes) == ({}, ())
    assert found.main["Minutes"] == 60


VALUES = st.sampled_from([None, "a", "b", "c", ""])
NAMES = ("F", "G", "H", "I")
ROWS = st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))
UNITS = st.sampled_from([[], [("F", "G")], [("F", "G"), ("H", "I")], [NAMES]])
MOMENTS = st.sampled_from([EARLIER, NOON, LATER])


@given(
    ROWS, ROWS, ROWS, st.sets(st.sampled_from(NAMES)), st.sampled_from(Policy), UNITS,
    st.dictionaries(st.sampled_from(NAMES), MOMENTS), st.one_of(st.none(), MOMENTS),
)  # fmt: skip
def test_nothing_is_lost(orig, main, synced, writable, policy, units, changed, modified):
    """What either side changed stands in the result, or in a clash that says so."""
    found = difference(
        orig, main, synced, writable=writable, policy=policy, changed=changed, modified=modified, units=units
    )
    clashed = {name for clash in found.clashes for name in clash.fields}
    for name in NAMES:
        if name in writable and main[name] != orig[name] and name not in clashed:
            assert found.main[name] == main[name]
        if synced[name] != orig[name] and name not in clashed:
            assert found.main[name] == synced[name]
        held = any(name in names for names in found.held)
        assert found.orig[name] == (orig[name] if held else synced[name])
        if name in found.send:
            assert name in writable
            assert found.send[name] == main[name] != found.orig[name]
        elif name in writable and not held:
            assert found.main[name] == found.orig[name]


@given(ROWS, ROWS, ROWS, st.sampled_from(Policy), UNITS)
def test_deciding_once_more_changes_nothing(orig, main, synced, policy, units):
    """A pass that is broken off and repeated comes to the same rows, and logs no clash of its own making."""
    first = difference(
        orig, main, synced, writable=NAMES, policy=policy, changed={}, modified=NOON, units=units
    )
    again = difference(
        first.orig, first.main, synced, writable=NAMES, policy=policy, changed={}, modified=NOON, units=units
    )
    assert (again.main, again.orig, again.send) == (first.main, first.orig, first.send)
    assert again.held == first.held
    assert [c for c in again.clashes if c.winner is not Winner.HELD] == []
