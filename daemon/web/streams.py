"""Streams of events stay open, and each takes one of the connections that there are: some have to be left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST = 400  # of all pages together; of one kind of page fewer


@dataclass(slots=True)
class Streams:
    """Of one event loop."""

    most: int = MOST
    _open: int = 0

    @property
    def full(self) -> bool:
        return self._open >= self.most

    @contextmanager
    def one(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
