"""Restrictions: those that FindItem and FindFolder are asked with."""

from collections.abc import Callable

from tests.servers.ews.schema import Element, T, name

Reader = Callable[[Element], list[str]]  # the values of the property that a path names; none: it is not there


def meets(test: Element, read: Reader) -> bool:
    """``test``: the one element inside of Restriction, And, Or or Not."""
    match name(test):
        case "And":
            return all(meets(inner, read) for inner in test)
        case "Or":
            return any(meets(inner, read) for inner in test)
        case "Not":
            return not meets(test[0], read)
        case "Exists":
            return bool(read(test[0]))
        case "Contains":
            return _contains(test, read)
        case _:
            return _compares(test, read)


def _contains(test: Element, read: Reader) -> bool:
    wanted = test[1].get("Value") or ""
    values = read(test[0])
    if (test.get("ContainmentComparison") or "").startswith("IgnoreCase"):
        wanted, values = wanted.casefold(), [v.casefold() for v in values]
    match test.get("ContainmentMode"):
        case "FullString":
            return wanted in values
        case "Prefixed":
            return any(v.startswith(wanted) for v in values)
        case _:
            return any(wanted in v for v in values)


def _compares(test: Element, read: Reader) -> bool:
    constant = test.find(T + "FieldURIOrConstant/" + T + "Constant")
    if constant is None:
        return False
    wanted, values = constant.get("Value") or "", read(test[0])
    match name(test):
        case "IsEqualTo":
            return wanted in values
        case "IsNotEqualTo":
            return wanted not in values
        case "IsGreaterThan":
            return any(v > wanted for v in values)
        case "IsGreaterThanOrEqualTo":
            return any(v >= wanted for v in values)
        case "IsLessThan":
            return any(v < wanted for v in values)
        case _:
            return any(v <= wanted for v in values)
