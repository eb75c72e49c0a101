"""A login to a memory server: everything that would go over a network passes here."""

from collections.abc import Iterator
from contextlib import contextmanager

from crmsync.connectors.memory.server import MemoryServer


class Client:
    def __init__(self, server: MemoryServer, login: str) -> None:
        self.server = server
        self.login = login
        self.requests = 0

    @contextmanager
    def request(self, operation: str, detail: str = "") -> Iterator[None]:
        """One exchange: counted, and it may fail on the way there or on the way back."""
        self.requests += 1
        with self.step(operation, detail):
            yield

    @contextmanager
    def step(self, operation: str, detail: str) -> Iterator[None]:
        """One item of a batch: the batch may break off before or after it."""
        self.server.faults.before(operation, detail)
        yield
        self.server.faults.after(operation, detail)
