"""The items last fetched, as they stood."""

import threading
from collections import OrderedDict

from crmsync.connectors.contract import Record


class Natives:
    """The items last fetched, so that writing to one needs no second read. Bounded in number and size; safe to use from
    several threads."""

    def __init__(self, most: int = 2_000, largest: int = 32 * 1024 * 1024) -> None:
        self._most = most
        self._room = largest
        self._kept: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, item: str, version: str) -> Record | None:
        record = self._kept.get(item)
        return record if record is not None and record.version == version else None

    def put(self, record: Record) -> None:
        with self._lock:
            self._drop(self._kept.pop(record.id, None))
            self._kept[record.id] = record
            self._room -= len(record.native)
            while self._kept and (len(self._kept) > self._most or self._room < 0):
                self._drop(self._kept.popitem(last=False)[1])

    def _drop(self, record: Record | None) -> None:
        if record is not None:
            self._room += len(record.native)
