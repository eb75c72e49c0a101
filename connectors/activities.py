"""Phone calls, letters and faxes on the ECS side: tasks that carry one of these categories. Pure.

The column ``activity`` of a task says which of them it is; the column ``categories`` is all the others.
"""

from collections.abc import Iterable, Mapping
from typing import Final

MARKS: Final[Mapping[str, str]] = {"phone_call": "Phone call", "letter": "Letter", "fax": "Fax"}
_MEANT = {mark.casefold(): activity for activity, mark in MARKS.items()}


def activity_of(categories: Iterable[str]) -> str | None:
    """The first of the three; None for a plain task. A person types it in small or capital letters."""
    found = {_MEANT.get(word.casefold()) for word in categories}
    return next((activity for activity in MARKS if activity in found), None)


def others(categories: Iterable[str]) -> tuple[str, ...]:
    """The categories that say nothing of the kind."""
    return tuple(word for word in categories if word.casefold() not in _MEANT)


def marked(categories: Iterable[str], activity: str | None) -> tuple[str, ...]:
    """The categories with the one that says ``activity``, spelt as it stands there already."""
    words = tuple(categories)
    if activity is None:
        return others(words)
    stands = next((w for w in words if _MEANT.get(w.casefold()) == activity), MARKS[activity])
    return (*others(words), stands)
