"""A query's rows as CSV in a file without a name, to be read in stretches from any row on."""

import tempfile
from array import array
from collections.abc import Iterator
from threading import Lock
from typing import IO

__all__ = ["Rows"]

MOST_BYTES = 1024 * 1024 * 1024


class Rows:
    """Lines below a header. Safe for threads."""

    def __init__(self, header: str, lines: Iterator[str]) -> None:
        self._header = header.encode("utf-8", "replace")
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._places = array("Q", [0])
        self._lock = Lock()
        try:
            for line in lines:
                self._file.write(line.encode("utf-8", "replace"))
                self._places.append(self._file.tell())
                if self._places[-1] > MOST_BYTES:
                    raise OverflowError(f"the result is larger than {MOST_BYTES} bytes")
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._places) - 1

    def part(self, first: int, count: int) -> tuple[bytes, int]:
        """(header and that many rows from `first` on, how many rows they are)"""
        last = min(first + count, len(self))
        with self._lock:
            self._file.seek(self._places[first])
            content = self._file.read(self._places[last] - self._places[first])
        return self._header + content, last - first

    def close(self) -> None:
        with self._lock:
            self._file.close()
