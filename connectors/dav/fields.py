"""The rows of the two mappings: what one column is in a component, both ways."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.contentline import escape
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.patch import Editor, categories, category, chosen, put_categories
from crmsync.connectors.dav.values import ABSENT, Maybe, checked, clean, text_of


class Row(Protocol):
    """``write`` is only called with a value that ``project`` gave and ``read`` did not find."""

    def read(self, component: Component) -> Maybe:
        """None: known to be empty; ABSENT: no opinion."""

    def write(self, edit: Editor, value: Value) -> None: ...

    def project(self, value: Value) -> Maybe:
        """The value as it is read back; ABSENT where it cannot be held."""


Rows = Mapping[str, Row]


def read_rows(rows: Rows, component: Component) -> dict[str, Value]:
    found = ((name, row.read(component)) for name, row in rows.items())
    return {name: value for name, value in found if value is not ABSENT}


def project_rows(rows: Rows, columns: Columns) -> dict[str, Value]:
    held = ((name, rows[name].project(value)) for name, value in columns.items() if name in rows)
    return {name: value for name, value in held if value is not ABSENT}


def write_rows(rows: Rows, edit: Editor, columns: Columns) -> None:
    """In the order of the rows, not of the columns: e-mail addresses must be added first to last."""
    for name, row in rows.items():
        if name in columns:
            row.write(edit, columns[name])


@dataclass(frozen=True, slots=True)
class Text:
    """A TEXT property; the first of its name that says something."""

    name: str
    type: Type = Type.TEXT

    def read(self, component: Component) -> Maybe:
        found = chosen(component.all(self.name))
        return text_of(found, self.type) if found else None

    def write(self, edit: Editor, value: Value) -> None:
        text = None if value is None else escape(str(value))
        edit.put(edit.component.all(self.name), text, self.name)

    def project(self, value: Value) -> Maybe:
        return None if value is None else clean(str(value), self.type)


_ESCAPED_IN_URI = re.compile(r"\\([:,;\\])")


@dataclass(frozen=True, slots=True)
class Uri:
    r"""A comma is escaped whatever the property's type, "even for properties that don't allow multiple instances"; a
    semicolon may be, outside of compound properties (RFC 6350 3.4). Readers must know both spellings: vCard 3.0 escapes
    nothing in a URI, and some producers escape even the colon.

    Seen with Radicale 3.9.0 (vobject 0.9.9): ``URL:…?a=b,c;d`` is stored as ``URL:…?a=b``, and with ``\,`` whole. A
    semicolon is safe as it is, so it stays plain for readers that unescape nothing.
    """

    name: str

    def read(self, component: Component) -> Maybe:
        found = chosen(component.all(self.name))
        return checked(_ESCAPED_IN_URI.sub(r"\1", found.text_value), self.name, Type.URL) if found else None

    def write(self, edit: Editor, value: Value) -> None:
        text = None if value is None else str(value).replace("\\", "\\\\").replace(",", "\\,")
        edit.put(edit.component.all(self.name), text, self.name)

    def project(self, value: Value) -> Maybe:
        return None if value is None else clean(str(value), Type.URL)


@dataclass(frozen=True, slots=True)
class Choice:
    """A property with a fixed set of words. One that has no column value is left alone."""

    name: str
    tokens: Mapping[str, str]  # column value -> token; the first of equal tokens is read back
    default: str | None = None  # what the absence of the property means
    unknown: Maybe = ABSENT  # what any other token means
    words: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        words = {token: value for value, token in reversed(list(self.tokens.items()))}
        object.__setattr__(self, "words", words)

    def read(self, component: Component) -> Maybe:
        found = chosen(component.all(self.name))
        return self.words.get(found.value.strip().upper(), self.unknown) if found else self.default

    def write(self, edit: Editor, value: Value) -> None:
        token = None if value is None else self.tokens[str(value)]
        edit.put(edit.component.all(self.name), token, self.name)

    def project(self, value: Value) -> Maybe:
        if value is None:
            return self.default
        token = self.tokens.get(str(value))
        return self.words[token] if token else ABSENT


@dataclass(frozen=True, slots=True)
class Categories:
    """All categories, the tag among them."""

    def read(self, component: Component) -> Maybe:
        return categories(component) or None

    def write(self, edit: Editor, value: Value) -> None:
        put_categories(edit, value if isinstance(value, tuple) else ())

    def project(self, value: Value) -> Maybe:
        words = {category(word) for word in value} if isinstance(value, tuple) else set()
        return tuple(sorted(words - {""})) or None
