import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.state.replica.ids import BASE62, is_offline, is_valid, new_id, offline_id, to_15, to_18


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("006R00000024gDt", "006R00000024gDtIAI"),
        ("001000000000001", "001000000000001AAA"),
        ("ABCDEabcdeAaAaA", "ABCDEabcdeAaAaA5AV"),
    ],
)
def test_the_check_characters_follow_from_the_case(short: str, long: str) -> None:
    assert to_18(short) == long
    assert to_15(long) == short


@given(st.text(BASE62, min_size=15, max_size=15))
def test_an_id_survives_a_system_that_folds_case(short: str) -> None:
    long = to_18(short)
    assert to_18(long) == long
    assert to_18(long.lower()) == long
    assert to_18(long.upper()) == long


@pytest.mark.parametrize(
    "text", ["", "1", "00100000000000", "001000000000001AAB", "001000000000001999", "00100000000000ä"]
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not is_valid(text)
    with pytest.raises(ValueError, match="is no record id"):
        to_18(text)


def test_new_ids_are_valid_and_in_the_order_of_their_numbers() -> None:
    ids = [new_id("003", number) for number in (1, 61, 62, 61 * 62**11 - 1)]
    assert all(map(is_valid, ids))
    assert ids == sorted(ids)
    assert ids[0].startswith("003")


@pytest.mark.parametrize(("prefix", "number"), [("0", 1), ("00-", 1), ("001", -1), ("001", 61 * 62**11)])
def test_an_id_has_room_for_three_and_twelve_characters(prefix: str, number: int) -> None:
    with pytest.raises(ValueError, match="no record id for prefix"):
        new_id(prefix, number)


def test_an_id_from_offline_is_told_from_every_real_one() -> None:
    made = offline_id("003", 12345)
    assert (made[:4], len(made)) == ("003z", 18)
    assert to_18(made[:15]) == made
    assert to_18(made.upper()) == made  # its check characters are good
    assert is_offline(made)
    assert is_offline(made[:15])
    assert not any(map(is_offline, ("", "zzzz", new_id("003", 1), new_id("003", 61 * 62**11 - 1))))
    with pytest.raises(ValueError, match="number"):
        offline_id("003", 62**11)
