"""A form that is sent twice, by a double click or because its answer was lost, makes one record.

A form bears a name of its own. What it has made is kept in memory, as are sessions, without which it cannot be sent.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from crmsync.daemon.crm_pages.sessions import Session

__all__ = ["Forms", "Turn"]

MOST = 10_000
_LENGTH = 64


@dataclass(slots=True)
class Turn:
    made: str = ""  # the id of the record
    lock: threading.Lock = field(default_factory=threading.Lock)


class Forms:
    """Safe to use from several threads."""

    def __init__(self, random: Callable[[int], str] = secrets.token_urlsafe) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, str], Turn] = {}

    def name(self) -> str:
        return self._random(16)

    @contextmanager
    def turn(self, session: Session, name: str) -> Iterator[Turn]:
        """What this form has made; whoever sends it meanwhile waits. A form without a name stands alone."""
        turn = self._of(session, name[:_LENGTH]) if name else Turn()
        with turn.lock:
            yield turn

    def _of(self, session: Session, name: str) -> Turn:
        key = session.key, name
        with self._lock:
            while len(self._turns) >= MOST and key not in self._turns:
                del self._turns[next(iter(self._turns))]  # the oldest
            return self._turns.setdefault(key, Turn())
