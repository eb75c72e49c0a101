"""Taking a request's address apart.

Clients put things in front of `/services/` (simple-salesforce: `/login.salesforce.com`), double slashes, and end
with one; all of that is ignored. A segment is decoded after the split, so that an external id may hold a slash.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

__all__ = ["parameters", "segments", "version_of"]

_VERSION = re.compile(r"v(\d{2,3})\.0", re.IGNORECASE)
MOST_PARAMETERS = 200


def segments(raw_path: bytes) -> tuple[str, ...]:
    """`/x//services/data/v59.0/` -> ("services", "data", "v59.0"); `/id/…` likewise."""
    parts = [unquote(each, errors="replace") for each in raw_path.decode("latin-1").split("/") if each]
    for place, part in enumerate(parts):
        if part.lower() == "services":
            return tuple(parts[place:])
    return tuple(parts)


def version_of(segment: str) -> str | None:
    """`v59.0` -> `59.0`"""
    match = _VERSION.fullmatch(segment)
    return f"{int(match[1])}.0" if match else None


def parameters(query: bytes) -> Mapping[str, str]:
    """The query string; the first of several values counts."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return found
    for name, value in pairs:
        found.setdefault(name, value)
    return found
