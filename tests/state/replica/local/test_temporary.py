from hypothesis import given
from hypothesis import strategies as st

from crmsync.state.replica.ids import is_valid, new_id, to_15
from crmsync.state.replica.local.temporary import is_temporary, temporary_id


@given(st.integers(0, 62**11 - 1), st.sampled_from(["001", "003", "00U", "a0B"]))
def test_it_is_an_id_like_any_other(number: int, prefix: str):
    made = temporary_id(prefix, number)
    assert made.startswith(prefix)
    assert is_valid(made)
    assert is_temporary(made)
    assert is_temporary(to_15(made))


@given(st.integers(0, 61 * 62**10))
def test_the_upstreams_are_none(number: int):
    assert not is_temporary(new_id("003", number))


def test_neither_is_anything_else():
    assert not any(is_temporary(value) for value in (None, "", "003z", 7, True, "sizzling and long text"))
