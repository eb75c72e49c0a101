"""The formatted name (FN) of a vCard: how it is made up, and when it follows the columns it was made from."""

from collections.abc import Callable

from crmsync.connectors.contract import Columns
from crmsync.connectors.dav.contentline import escape
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.patch import Editor, chosen
from crmsync.connectors.dav.values import text_of

NAMES = ("prefix", "first_name", "middle_name", "last_name", "suffix")
SOURCES = frozenset({*NAMES, "company", "email"})  # what an FN may have been made from


def _joined(*names: str) -> Callable[[Columns], str]:
    return lambda columns: " ".join(str(columns[name]) for name in names if columns.get(name))


def _last_first(columns: Columns) -> str:
    return ", ".join(str(columns[name]) for name in ("last_name", "first_name") if columns.get(name))


# How address books make it up. The first is ours.
_FORMATS: tuple[Callable[[Columns], str], ...] = (
    _joined(*NAMES),
    _joined("first_name", "last_name"),
    _joined("first_name", "middle_name", "last_name"),
    _joined("prefix", "first_name", "last_name"),
    _last_first,
    _joined("last_name", "first_name"),
)


def formatted_name(columns: Columns) -> str:
    """From the name, else the company, else the e-mail address; empty when there is none of them."""
    return _FORMATS[0](columns) or str(columns.get("company") or columns.get("email") or "")


def read_formatted(card: Component) -> str:
    found = chosen(card.all("FN"))
    return (text_of(found) or "").strip() if found else ""


def follow(edit: Editor, before: Columns, after: Columns) -> None:
    """Rewrites FN if it said what one of the formats makes of ``before`` (or nothing): a display name that a person
    chose stays. It is never emptied, since a vCard must have one (RFC 6350 6.2.1; vCard 2.1 need not)."""
    old = " ".join(read_formatted(edit.component).split())
    new = _followed(old, before, after)
    lines = edit.component.all("FN")
    named = any(after.get(name) for name in NAMES)
    if new and new != old and (lines or not named or not _is_21(edit.component)):
        edit.put(lines, escape(new), "FN")


def _followed(old: str, before: Columns, after: Columns) -> str:
    fallback = formatted_name(after)
    if not old:
        return fallback or formatted_name(before)
    for form in _FORMATS:
        if form(before) and " ".join(form(before).split()) == old:
            return form(after) or fallback
    return fallback if old == formatted_name(before) else old


def _is_21(card: Component) -> bool:
    version = card.first("VERSION")
    return version is not None and version.value.strip() == "2.1"


def names_from_formatted(card: Component, columns: Columns) -> dict[str, str | None]:
    """vCard 4 may do without N. Then the last word of FN is the family name, unless FN is that of a company."""
    full = read_formatted(card).split()
    if card.all("N") or not full or " ".join(full) in (columns.get("company"), columns.get("email")):
        return {}
    return {"first_name": " ".join(full[:-1]) or None, "last_name": full[-1]}
