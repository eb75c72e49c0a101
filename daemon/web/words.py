"""How values are put into words on the pages; every one is plain text, escaped by the templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crmsync.daemon.commands.show import plain


@dataclass(frozen=True, slots=True)
class Light:
    name: str  # as ``status`` has it
    words: str
    meaning: str


# The worst first: the light of all accounts together is the first that one of them shows.
LIGHTS = (
    Light("failing", "failing", "something is refused or was given up on; see why below"),
    Light("offline", "offline", "a server cannot be reached; it is tried again by itself"),
    Light("stale", "stale", "no sync has come through for too long"),
    Light("decision", "needs a decision", "somebody has to say what shall happen"),
    Light("syncing", "syncing", "at work right now"),
    Light("waiting", "waiting", "changes are known and wait for their turn"),
    Light("in_step", "in step", "both sides are the same"),
)
BY_NAME: Mapping[str, Light] = {light.name: light for light in LIGHTS}


def worst(lights: list[str]) -> Light:
    return next((light for light in LIGHTS if light.name in lights), BY_NAME["in_step"])


def span(length: timedelta) -> str:
    """Roughly, as a person says it: ``3 minutes``."""
    seconds = max(0, int(length.total_seconds()))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(seconds // size, word)
    return counted(seconds, "second")


def ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{span(now - moment)} ago"


def ahead(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "–"
    return "now" if moment <= now else f"in {span(moment - now)}"


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def full_name(row: Mapping[str, Any]) -> str:
    """Of the item in a row: with its collection, because others may have an item of the same id."""
    collection, item = str(row.get("collection") or ""), str(row["item"])
    return f"{collection.rstrip('/')}/{item}" if collection else item


def _shown(value: Any) -> str:
    """A column's value; empty ones are said to be."""
    if value is None or value == "":
        return "(empty)"
    return str(value) if "\n" in str(value) else plain(value)


FILTERS = {"plain": plain, "shown": _shown, "light": lambda name: BY_NAME[name], "counted": counted}
