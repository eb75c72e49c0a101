"""What a contact is shown and filed as: made from its names, and following them while nobody chose otherwise."""

from crmsync.connectors.contract import Columns
from crmsync.connectors.ews.properties import Properties, Property, text
from crmsync.connectors.ews.rows import SHORT, shortened

NAMES = ("prefix", "first_name", "middle_name", "last_name", "suffix")
SOURCES = frozenset({*NAMES, "company", "email"})


def _of(columns: Columns, *names: str, between: str = " ") -> str:
    return between.join(str(columns[n]) for n in names if columns.get(n))


def shown_as(columns: Columns) -> list[str]:
    """The ways in which clients make it up; the first one is ours."""
    return [
        _of(columns, *NAMES),
        _of(columns, "first_name", "middle_name", "last_name"),
        _of(columns, "first_name", "last_name"),
        _of(columns, "prefix", "first_name", "last_name"),
        _of(columns, "last_name", "first_name", between=", "),
    ]


def filed_as(columns: Columns) -> list[str]:
    last, first = _of(columns, "last_name"), _of(columns, "first_name", "middle_name")
    joined = ", ".join(part for part in (last, first) if part)
    short = _of(columns, "last_name", "first_name", between=", ")
    company = _of(columns, "company")
    return [joined, short, *shown_as(columns), f"{joined} ({company})", f"{company} ({joined})"]


def follow(before: Columns, after: Columns, standing: Properties) -> dict[str, Property]:
    """New values of DisplayName and FileAs, where they said what one of the ways makes of ``before``, or nothing."""
    fallback = _of(after, "company") or _of(after, "email")
    told: dict[str, Property] = {}
    for name, ways in (("DisplayName", shown_as), ("FileAs", filed_as)):
        old = " ".join(text(standing, name).split())
        new = _followed(
            old, ways(before), ways(after), _of(before, "company") or _of(before, "email"), fallback
        )
        if new and new != old:
            told[name] = shortened(new, SHORT)
    return told


def _followed(old: str, ways_before: list[str], ways_after: list[str], was: str, fallback: str) -> str:
    first = ways_after[0] or fallback
    if not old or old == was:
        return first
    for way, now in zip(ways_before, ways_after, strict=True):
        if way and " ".join(way.split()) == old:
            return (now.strip(" ()") and now) or first
    return old
