"""Who asks for much waits for themselves: requests are answered in a pool of threads, which one user's slow queries, or
one stranger's logins, must not take from everybody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["AT_ONCE", "Fairness"]

AT_ONCE = 16  # requests of one user; the pool has 40 threads


class Fairness:
    """Of one event loop."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._places: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}  # with those who have one or wait

    @asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        places, there = self._places.setdefault(whose, (asyncio.Semaphore(self._at_once), []))
        there.append(None)
        try:
            async with places:
                yield
        finally:
            there.pop()
            if not there:
                del self._places[whose]
