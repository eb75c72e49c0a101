"""The rows that only calendar objects have."""

from dataclasses import dataclass

from crmsync.connectors.activities import MARKS, activity_of, marked, others
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.fields import Categories
from crmsync.connectors.dav.patch import Editor, categories, chosen, put_categories
from crmsync.connectors.dav.values import ABSENT, Maybe

_BUSY = "X-MICROSOFT-CDO-BUSYSTATUS"
_BUSY_TOKENS = {"free": "FREE", "busy": "BUSY", "tentative": "TENTATIVE", "out_of_office": "OOF"}
_BUSY_WORDS = {token: word for word, token in _BUSY_TOKENS.items()}


@dataclass(frozen=True, slots=True)
class ShowAs:
    """TRANSP knows free and busy (RFC 5545 3.8.2.7); Outlook's property adds two more. Many clients change TRANSP
    without looking at that one, so that where they disagree about free, TRANSP is right."""

    def read(self, component: Component) -> Maybe:
        transparent, busy = (_token(component, name) for name in ("TRANSP", _BUSY))
        word = _BUSY_WORDS.get(busy, "busy")
        if transparent == "TRANSPARENT" or (word == "free" and not transparent):
            return "free"
        return "busy" if word == "free" else word

    def write(self, edit: Editor, value: Value) -> None:
        component = edit.component
        if component.all("TRANSP") or value == "free":
            edit.put(component.all("TRANSP"), "TRANSPARENT" if value == "free" else "OPAQUE", "TRANSP")
        if component.all(_BUSY) or value in ("tentative", "out_of_office"):
            edit.put(component.all(_BUSY), _BUSY_TOKENS[str(value)], _BUSY)

    def project(self, value: Value) -> Maybe:
        if value is None:
            return "busy"
        return value if value in _BUSY_TOKENS else ABSENT


def _token(component: Component, name: str) -> str:
    found = chosen(component.all(name))
    return found.value.strip().upper() if found else ""


@dataclass(frozen=True, slots=True)
class Activity:
    """Which kind of activity a task stands for: one of its categories."""

    def read(self, component: Component) -> Maybe:
        return activity_of(categories(component))

    def write(self, edit: Editor, value: Value) -> None:
        put_categories(edit, marked(categories(edit.component), value if isinstance(value, str) else None))

    def project(self, value: Value) -> Maybe:
        return value if value is None or value in MARKS else ABSENT


@dataclass(frozen=True, slots=True)
class TaskCategories(Categories):
    """All but that one."""

    def read(self, component: Component) -> Maybe:
        return others(categories(component)) or None

    def write(self, edit: Editor, value: Value) -> None:
        standing = activity_of(categories(edit.component))
        spelt = [w for w in categories(edit.component) if activity_of([w]) == standing and standing]
        put_categories(edit, (*(value if isinstance(value, tuple) else ()), *spelt))

    def project(self, value: Value) -> Maybe:
        held = Categories.project(self, value)
        return others(held) or None if isinstance(held, tuple) else held


_PRIORITY = {"high": "1", "normal": "5", "low": "9"}


@dataclass(frozen=True, slots=True)
class Priority:
    """1 to 4 high, 5 normal, 6 to 9 low, 0 none (RFC 5545 3.8.1.9)."""

    def read(self, component: Component) -> Maybe:
        found = chosen(component.all("PRIORITY"))
        number = found.value.strip() if found else "0"
        if len(number) != 1 or number not in "0123456789":
            return ABSENT
        if number == "0":
            return None
        return "high" if number < "5" else "normal" if number == "5" else "low"

    def write(self, edit: Editor, value: Value) -> None:
        edit.put(edit.component.all("PRIORITY"), None if value is None else _PRIORITY[str(value)], "PRIORITY")

    def project(self, value: Value) -> Maybe:
        return value if value is None or value in _PRIORITY else ABSENT
