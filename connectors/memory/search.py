"""Which items a search or a selection means."""

import re

from crmsync.connectors.abilities import Probe
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Selection
from crmsync.connectors.memory.native import Item

_DIGITS = (
    7  # of a number's end are compared: prefixes are written in too many ways, and the engine looks again
)


def shares_key(item: Item, probe: Probe) -> bool:
    emails = {e.strip().casefold() for e in probe.emails}
    phones = {d for p in probe.phones if (d := _digits(p))}
    return (
        any(v.strip().casefold() in emails for v in _texts(item, Type.EMAIL))
        or any(_digits(v) in phones for v in _texts(item, Type.PHONE))
        or (bool(probe.columns) and probe.columns.items() <= item.columns.items())
    )


def meets(item: Item, selection: Selection) -> bool:
    """``condition`` in this server's query language: ``column = value``."""
    name, _, value = selection.condition.partition("=")
    return (
        (not selection.tag or selection.tag in item.tags)
        and (not selection.owner or selection.owner == item.owner)
        and (not selection.condition or item.columns.get(name.strip()) == value.strip())
        and (not selection.nothing or bool(item.link))
    )


def _texts(item: Item, type: Type) -> list[str]:
    columns = COLUMNS[item.kind]
    return [v for n, v in item.columns.items() if columns[n].type is type and isinstance(v, str)]


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)[-_DIGITS:]
