"""How far a mailbox has been told: for each folder how it stood, and which message was which.

With the identities of the tagged messages a number that has gone says what went, and one message in two folders is
known as one. They are packed: it is the tagged mail that is listed here, not the mailbox, but it may be thousands.
"""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from crmsync.connectors.errors import CursorExpired
from crmsync.connectors.imap.session import Status

_MOST = 50_000_000  # bytes that a cursor may unpack to


@dataclass(frozen=True, slots=True)
class FolderMark:
    status: Status
    ids: Mapping[int, str]  # of the tagged messages, by number


@dataclass(frozen=True, slots=True)
class Mark:
    folders: Mapping[str, FolderMark] = field(default_factory=dict)

    def encode(self) -> str:
        value = {
            name: [
                m.status.validity,
                m.status.next,
                m.status.count,
                m.status.modseq,
                list(m.ids),
                list(m.ids.values()),
            ]
            for name, m in sorted(self.folders.items())
        }
        text = json.dumps(value, separators=(",", ":")).encode()
        return "m1" + b85encode(zlib.compress(text, 6)).decode()

    def spots(self) -> dict[str, set[tuple[str, int]]]:
        found: dict[str, set[tuple[str, int]]] = {}
        for name, mark in self.folders.items():
            for uid, id in mark.ids.items():
                found.setdefault(id, set()).add((name, uid))
        return found


def decode(cursor: str) -> Mark:
    try:
        if not cursor.startswith("m1"):
            raise ValueError("another form")
        text = zlib.decompressobj().decompress(b85decode(cursor[2:]), _MOST)
        folders = {
            str(name): FolderMark(
                Status(int(validity), int(following), int(count), int(modseq)),
                {int(u): str(i) for u, i in zip(uids, ids, strict=True)},
            )
            for name, (validity, following, count, modseq, uids, ids) in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError, zlib.error) as error:
        raise CursorExpired("the stored position in the mailbox cannot be read") from error
    return Mark(folders)
