"""Salesforce record ids: 15 case-sensitive characters, or 18 with three that repeat the case of the rest.

Of each five characters, one check character says which are upper case: bit j is set where character j is A-Z,
and the five bits index ABCDEFGHIJKLMNOPQRSTUVWXYZ012345. So an 18-character id survives systems that fold case.
"""

import string

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
CHECKS = string.ascii_uppercase + "012345"
RESERVED = "z"  # in the fourth place: Salesforce counts its instances from 0 up, and is far from there
_ALLOWED = frozenset(BASE62)
_RESERVED_FROM = BASE62.index(RESERVED) * 62**11


def new_id(prefix: str, number: int) -> str:
    """The 18-character id of the `number`-th record of the object with this key prefix (`001`, `003`, …).

    Raises ValueError when prefix or number do not fit into 3 and 12 characters of base 62.
    """
    if len(prefix) != 3 or not _ALLOWED.issuperset(prefix) or not 0 <= number < _RESERVED_FROM:
        raise ValueError(f"no record id for prefix {prefix!r} and number {number}")
    digits = []
    for _ in range(12):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return to_18(prefix + "".join(reversed(digits)))


def offline_id(prefix: str, number: int) -> str:
    """The id of a record that its CRM does not know of yet: real ones never have RESERVED in the fourth place."""
    if not 0 <= number < 62**11:
        raise ValueError(f"no record id for number {number}")
    digits = to_15(new_id(prefix, number))[4:]
    return to_18(prefix + RESERVED + digits)


def is_offline(id: str) -> bool:
    """Whether this is one of ours, in either length."""
    return is_valid(id) and to_15(id)[3] == RESERVED


def to_18(id: str) -> str:
    """The 18-character form. An 18-character id is returned with its case mended from the check characters.

    Raises ValueError for anything that is no id.
    """
    short = to_15(id)
    return short + _checks(short)


def to_15(id: str) -> str:
    """The 15-character form; raises ValueError for anything that is no id."""
    if len(id) not in (15, 18) or not _ALLOWED.issuperset(id):
        raise ValueError(f"{id!r} is no record id: 15 or 18 letters and digits were expected")
    short = id[:15]
    return short if len(id) == 15 else _mended(short, id[15:].upper())


def is_valid(id: str) -> bool:
    """Whether this is a record id of either length, in whatever case its check characters can mend."""
    try:
        to_15(id)
    except ValueError:
        return False
    return True


def _checks(short: str) -> str:
    return "".join(CHECKS[_upper_bits(short[start : start + 5])] for start in (0, 5, 10))


def _upper_bits(five: str) -> int:
    return sum(1 << place for place, character in enumerate(five) if "A" <= character <= "Z")


def _mended(short: str, checks: str) -> str:
    mended = []
    for place, character in enumerate(short):
        bits = CHECKS.find(checks[place // 5])
        mended.append(character.upper() if bits >> place % 5 & 1 else character.lower())
    result = "".join(mended)
    if _checks(result) != checks:
        raise ValueError(f"{short + checks!r} is no record id: its check characters do not fit")
    return result
