"""The pulse: what the cycles moved, hour by hour, for the charts. There is a row for an account and an hour in which
something happened; what is older than ``KEPT`` goes with the next one that is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, case, delete, func, select

from crmsync.state.rows import upsert
from crmsync.state.tables import pulse

KEPT = timedelta(days=32)
_c = pulse.c
_SUMS = ("to_ecs", "to_crm", "errors", "took")
_MOST = ("slowest", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Of a cycle, or of all cycles of an hour."""

    to_ecs: int = 0  # items that were written there
    to_crm: int = 0
    errors: int = 0
    waiting: int = 0  # the most changes that waited at once
    took: int = 0  # milliseconds from change to arrival, of all items together
    slowest: int = 0  # of the one that took longest

    @property
    def idle(self) -> bool:
        return self == Beat()


@dataclass(frozen=True, slots=True)
class Hour:
    begins: datetime
    beat: Beat


class Pulse:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, account: str, now: datetime, beat: Beat) -> None:
        """Nothing is written where nothing happened."""
        if beat.idle:
            return
        values = {name: getattr(beat, name) for name in (*_SUMS, *_MOST)}
        query = upsert(self._connection.dialect.name, pulse)
        new = query.excluded
        sums = {name: _c[name] + new[name] for name in _SUMS}
        most = {name: case((_c[name] > new[name], _c[name]), else_=new[name]) for name in _MOST}
        query = query.on_conflict_do_update(index_elements=[_c.account, _c.hour], set_={**sums, **most})
        self._connection.execute(query, [{"account": account, "hour": hour_of(now), **values}])
        self._connection.execute(delete(pulse).where(_c.account == account, _c.hour < now - KEPT))

    def prune(self, before: datetime) -> None:
        """Also of accounts that are configured no more."""
        self._connection.execute(delete(pulse).where(_c.hour < before))

    def since(self, since: datetime, accounts: Sequence[str] | None = None) -> list[Hour]:
        """The hours in which something happened, oldest first, these accounts (None: all) taken together: of several,
        the one with the most that waits counts."""
        sums = [func.sum(_c[name]).label(name) for name in _SUMS]
        most = [func.max(_c[name]).label(name) for name in _MOST]
        query = select(_c.hour, *sums, *most).where(_c.hour >= since).group_by(_c.hour).order_by(_c.hour)
        if accounts is not None:
            query = query.where(_c.account.in_(accounts))
        rows = self._connection.execute(query).mappings()
        return [Hour(row["hour"], Beat(**{n: int(row[n]) for n in (*_SUMS, *_MOST)})) for row in rows]


def hour_of(moment: datetime) -> datetime:
    """Its beginning, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
