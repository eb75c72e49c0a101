"""The files of an event (ATTACH, RFC 5545 3.8.1.1): in it, on its own server (RFC 8607), or anywhere else.

They are read, never written. What stands anywhere else is not fetched: it may want a login, and ours is for the server.
"""

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from crmsync.connectors.contract import Value
from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import File
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import Maybe

_NAMES = ("FILENAME", "X-FILENAME", "X-APPLE-FILENAME")
_ANYTHING = "application/octet-stream"
_LONGEST = 200  # characters of a name


@dataclass(frozen=True, slots=True)
class Attachments:
    """Their names."""

    def read(self, component: Component) -> Maybe:
        return tuple(sorted({each.name for each in files_of(component)})) or None

    def write(self, edit: Editor, value: Value) -> None:
        return

    def project(self, value: Value) -> Maybe:
        return value if isinstance(value, tuple) and value else None


def files_of(component: Component) -> tuple[File, ...]:
    return tuple(_files(component))


def _files(component: Component) -> Iterator[File]:
    for each in component.all("ATTACH"):
        value = each.value.strip()
        kind = each.parameter("FMTTYPE").lower() or _ANYTHING
        if each.parameter("ENCODING").upper() == "BASE64" or each.parameter("VALUE").upper() == "BINARY":
            yield File(_name(each, "", kind), kind, _length(value), inline=value)
        elif _scheme(value) in ("http", "https", ""):
            told = each.parameter("SIZE")
            size = int(told) if told.isascii() and told.isdigit() and len(told) < 16 else None
            managed = bool(each.parameter("MANAGED-ID"))
            yield File(_name(each, value, kind), kind, size, url=value, managed=managed)


def _scheme(value: str) -> str | None:
    """The scheme. None for what is no address: a part of the message that the event came with (``cid:``) is another."""
    try:
        return urlsplit(value).scheme.lower() if value else None
    except ValueError:
        return None


def _name(line: Line, url: str, kind: str) -> str:
    given = next((told for n in _NAMES if (told := line.parameter(n))), "")
    last = given or unquote(urlsplit(url).path.rstrip("/")) if url or given else ""
    words = "".join(c if c.isprintable() else " " for c in last.replace("\\", "/").rpartition("/")[2])
    name = " ".join(words.split())[:_LONGEST]
    return name or "attachment" + (_extension(kind))


def _extension(kind: str) -> str:
    return "" if kind == _ANYTHING else mimetypes.guess_extension(kind) or ""


def _length(text: str) -> int:
    """Of what base64 says; white space in it is not counted exactly, and need not be."""
    return max(0, len(text) // 4 * 3 - text[-2:].count("="))
