"""Where an item stands: hrefs to ids and back. An id is the resource's name in its collection, percent-decoded.

Servers encode hrefs as they like (``@`` or ``%40``) and may send whole URLs; what counts is the decoded path. An href
that does not name a direct child of the collection is nobody's: it is ignored, whatever it says.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import quote, unquote, urlsplit

from crmsync.connectors.errors import ProtocolError

_PATH_SAFE = "@:!$&'()*+,;=~-._"  # RFC 3986 3.3, pchar
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,180}\Z")


class Place:
    """One collection's path on its server."""

    def __init__(self, path: str) -> None:
        self._segments = _segments(path)
        self.path = canonical(path)

    def href(self, item: str) -> str:
        return self.path + quote(item, safe=_PATH_SAFE)

    def can_hold(self, item: str) -> bool:
        """Whether an item can have this id: what a person types may be anything, and ``..`` leads elsewhere."""
        return self.item(self.href(item)) == item

    def item(self, href: str) -> str | None:
        """The id, or None: the collection itself, a collection within it, or something elsewhere."""
        try:
            path = urlsplit(href).path
            folder, _, last = path.rpartition("/")
            name = unquote(last, errors="strict")
            # most servers write their own path as it was asked for: then nothing has to be decoded
            outside = folder + "/" != self.path and _segments(path)[:-1] != self._segments
        except ValueError:  # no URL at all, or bytes that are no text
            return None
        if outside or not name or name in (".", "..") or "/" in name or "\0" in name:
            return None
        return name

    def named(self, server: str, text: str) -> str | None:
        """The id in a URL of this server, or in a path on it; None for anything else."""
        try:
            there, here = urlsplit(text), urlsplit(server)
        except ValueError:
            return None
        own = (there.scheme, there.netloc) in ((here.scheme, here.netloc), ("", ""))
        return self.item(text) if own and there.path.startswith("/") else None

    def is_self(self, href: str) -> bool:
        try:
            return _segments(urlsplit(href).path) == self._segments
        except ValueError:
            return False


def canonical(url: str) -> str:
    """The path of a collection, encoded in one way, with the slash at its end. Raises ProtocolError."""
    segments = _segments(_path(url))
    return "/" + "".join(quote(segment, safe=_PATH_SAFE) + "/" for segment in segments)


def file_name(key: str, suffix: str) -> str:
    """A resource name for a chosen key; the same key always gives the same name. Not every server takes every name
    (a slash, a colon, a leading dot), so odd keys are hashed."""
    name = key if _SAFE_NAME.match(key) else sha256(key.encode()).hexdigest()[:40]
    return name + suffix


def last_segment(url: str) -> str:
    segments = _segments(_path(url))
    return segments[-1] if segments else ""


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise ProtocolError("the server names an address that is none") from error


def _segments(path: str) -> Sequence[str]:
    """Decoded; doubled slashes and the last one do not count."""
    return [unquote(segment) for segment in path.split("/") if segment]
