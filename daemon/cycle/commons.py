"""Commons: what one account has fetched of a shared collection serves every account that is shown the same
(``load.fetch_told``).

An account is served an item only where its own login was told in this cycle what has changed in the collection, and in
the very version that it was told of: so nobody is given anything that the server does not show them. What a person
marked private is never shared, because servers show some of it to one login and more to another.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from crmsync.connectors.contract import Record


class Commons:
    """Safe to use from several threads. Bounded in number and size; the oldest go first."""

    def __init__(self, most: int = 2_000, room: int = 16 * 1024 * 1024) -> None:
        self._most, self._room = most, room
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, where: str, records: Iterable[Record]) -> None:
        with self._lock:
            for record in records:
                self._drop(self._records.pop((where, record.id), None))
                self._records[where, record.id] = record
                self._room -= len(record.native)
            while self._records and (len(self._records) > self._most or self._room < 0):
                self._drop(self._records.popitem(last=False)[1])

    def look(self, where: str, id: str, version: str) -> Record | None:
        with self._lock:
            record = self._records.get((where, id))
        return record if record is not None and version and record.version == version else None

    def _drop(self, record: Record | None) -> None:
        self._room += len(record.native) if record is not None else 0
