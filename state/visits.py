"""What happened on the service's own pages: who came in, what they decided, and what was refused. Bounded, and apart:
strangers can have as much refused as they like, and it pushes out nothing of what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from crmsync.state.tables import visits

MOST = 10_000  # rows, and as many of what was refused; the oldest go first
REFUSED = "refused"
_c = visits.c


@dataclass(frozen=True, slots=True)
class Happening:
    at: datetime
    who: str  # an account, "an admin"; empty: nobody known
    what: str  # login, logout, decided, refused
    detail: str


class Visits:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, happenings: Sequence[Happening]) -> None:
        rows = [{"at": h.at, "who": h.who, "what": h.what, "detail": h.detail} for h in happenings]
        if rows:
            self._connection.execute(insert(visits), rows)
            for these in (_c.what == REFUSED, _c.what != REFUSED):
                surplus = select(_c.id).where(these).order_by(_c.id.desc()).offset(MOST).limit(1)
                self._connection.execute(delete(visits).where(these, _c.id <= surplus.scalar_subquery()))

    def prune(self, before: datetime) -> None:
        self._connection.execute(delete(visits).where(_c.at < before))

    def newest(self, limit: int) -> list[Happening]:
        query = select(_c.at, _c.who, _c.what, _c.detail).order_by(_c.id.desc()).limit(limit)
        return [Happening(*row) for row in self._connection.execute(query)]
