"""Items that were read while changes were told, until they are asked for: the latest in memory, the others on disk.

A first sync reads a whole calendar to know what is a series. What is on disk is a file without a name, which is gone
with the process, however that ends.
"""

import tempfile
import weakref
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Generic, TypeVar

from crmsync.connectors.contract import Record

IN_MEMORY = 2_000  # items
ON_DISK = 512 * 1024 * 1024  # bytes; beyond, an item is read once more

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a record stands on disk."""

    version: str
    modified: datetime | None
    at: int
    size: int


class Spool(Generic[T]):
    """``T``: what stands in memory for an item, beside the record that it was made of."""

    def __init__(self, in_memory: int = IN_MEMORY, on_disk: int = ON_DISK) -> None:
        self._in_memory, self._on_disk = in_memory, on_disk
        self._kept: OrderedDict[str, tuple[Record, T]] = OrderedDict()
        self._stored: dict[str, Stored] = {}
        self._file: IO[bytes] | None = None
        self._end = 0

    def clear(self) -> None:
        self._kept.clear()
        self._stored.clear()
        if self._file is not None:
            self._file.close()
            self._file, self._end = None, 0

    def put(self, record: Record, seen: T) -> None:
        self._stored.pop(record.id, None)
        self._kept[record.id] = (record, seen)
        if len(self._kept) > self._in_memory:
            _, (oldest, _) = self._kept.popitem(last=False)
            self._store(oldest)

    def take(self, id: str) -> tuple[Record, T] | None:
        return self._kept.pop(id, None)

    def take_stored(self, id: str) -> tuple[str, str, datetime | None] | None:
        """Version, text and time of an item that is on disk."""
        found = self._stored.pop(id, None)
        if found is None or self._file is None:
            return None
        self._file.seek(found.at)
        return found.version, zlib.decompress(self._file.read(found.size)).decode(), found.modified

    def _store(self, record: Record) -> None:
        data = zlib.compress(record.native.encode(), 1)
        if self._end + len(data) > self._on_disk:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="crmsync-")  # noqa: SIM115 - closed with us
            weakref.finalize(self, self._file.close)
        self._file.seek(self._end)
        self._file.write(data)
        self._stored[record.id] = Stored(record.version, record.modified, self._end, len(data))
        self._end += len(data)
