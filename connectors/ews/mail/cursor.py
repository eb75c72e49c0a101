"""How far a mailbox has been told: for each folder how it stood, and the marks of the tagged messages in it.

With the marks, what a message shows is known although only one of the folders that hold a copy of it was looked at, and
a message that is tagged no longer is known as one that was.
"""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from crmsync.connectors.errors import CursorExpired

_MARK = "ews-mail1"
_MOST = 50_000_000  # bytes that a cursor may unpack to


@dataclass(frozen=True, slots=True)
class Marks:
    """Of one copy."""

    flag: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FolderMark:
    state: str  # changes whenever anything in the folder does; empty: the server does not tell
    place: str  # what the folder said of its messages
    copies: Mapping[str, tuple[Marks, ...]]  # by message
    newest: str = ""  # when the newest message arrived that has been looked at, where answers are tracked


@dataclass(frozen=True, slots=True)
class Mark:
    folders: Mapping[str, FolderMark] = field(default_factory=dict)

    def encode(self) -> str:
        value = {
            id: [
                m.state,
                m.place,
                m.newest,
                [[i, [[c.flag, *c.words] for c in some]] for i, some in sorted(m.copies.items())],
            ]
            for id, m in sorted(self.folders.items())
        }
        text = json.dumps(value, separators=(",", ":")).encode()
        return _MARK + b85encode(zlib.compress(text, 6)).decode()

    def spots(self) -> dict[str, set[str]]:
        """The folders that hold a copy, by message."""
        found: dict[str, set[str]] = {}
        for folder, mark in self.folders.items():
            for id in mark.copies:
                found.setdefault(id, set()).add(folder)
        return found


def decode(cursor: str) -> Mark:
    try:
        if not cursor.startswith(_MARK):
            raise ValueError("another form")
        text = zlib.decompressobj().decompress(b85decode(cursor[len(_MARK) :]), _MOST)
        folders = {
            str(id): FolderMark(
                str(state),
                str(place),
                {
                    str(i): tuple(Marks(str(flag), tuple(words)) for flag, *words in some)
                    for i, some in copies
                },
                str(newest),
            )
            for id, (state, place, newest, copies) in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError, zlib.error) as error:
        raise CursorExpired("the stored position in the mailbox cannot be read") from error
    return Mark(folders)
