"""Ids for records that the upstream does not know yet.

They look like any other: the object's key prefix, check characters that fit. In the fourth place, where Salesforce puts
the instance that made the record, stands a character that no instance uses; so they are told apart by looking at them.
"""

from typing import TypeGuard

from crmsync.state.replica.ids import BASE62, to_18

__all__ = ["is_temporary", "temporary_id"]

RESERVED = "z"
_DIGITS = 11


def temporary_id(prefix: str, number: int) -> str:
    """The id of the `number`-th record that was made here. Raises ValueError where it does not fit."""
    if not 0 <= number < len(BASE62) ** _DIGITS:
        raise ValueError(f"no temporary id for the number {number}")
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, len(BASE62))
        digits.append(BASE62[digit])
    return to_18(prefix + RESERVED + "".join(reversed(digits)))


def is_temporary(id: object) -> TypeGuard[str]:
    return isinstance(id, str) and len(id) in (15, 18) and id[3] == RESERVED
