"""Wrong passwords, counted: who guesses has to wait, longer and longer, and nobody for ever.

Counted for a name from one address, for an address, and for a name from anywhere. The first is strict; the others are
for those who guess at many names, or from many addresses, and leave out whoever has logged in from that address before:
nobody is kept out of their own office by strangers. The counts stand in the database: a restart forgives nothing.
"""

import datetime
import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from crmsync.state.replica import service_tables
from crmsync.state.replica.database import Database
from crmsync.state.replica.store import Clock

__all__ = ["LONGEST_WAIT", "Attempts", "network_of"]

LONGEST_WAIT = 60.0  # seconds
DOUBLINGS = 10
KEPT = datetime.timedelta(days=1)  # a count without another failure
KNOWN = datetime.timedelta(days=30)  # that somebody logged in from an address
FREE = {"pair": 5, "address": 30, "name": 50}  # wrong passwords before the waiting begins


@dataclass(frozen=True, slots=True)
class _Count:
    count: int
    blocked_until: datetime.datetime
    good: datetime.datetime | None


class Attempts:
    """Safe for threads and processes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._table = service_tables.attempts
        service_tables.prepare(database)

    def wait(self, name: str, address: str) -> bool:
        """Whether this name may not try now, from there."""
        keys, now = _keys(name, address), self._now()
        with self._database.read() as connection:
            found = self._found(connection, list(keys.values()))
        known = _is_known(found.get(keys["pair"]), now)
        return any(
            key in found and found[key].count >= FREE[kind] and _stands(found[key].blocked_until, now)
            for kind, key in keys.items()
            if kind == "pair" or not known
        )

    def failed(self, name: str, address: str) -> None:
        now = self._now()
        with self._database.write() as connection:
            self._forget(connection, now)
            keys = _keys(name, address)
            found = self._found(connection, list(keys.values()))
            for kind, key in keys.items():
                before = found.get(key)
                count = (before.count if before else 0) + 1
                self._put(
                    connection,
                    key,
                    _Count(count, now + _pause(kind, count), before.good if before else None),
                    now,
                )

    def succeeded(self, name: str, address: str) -> None:
        """Forgives this name, not the address: its owner may have guessed at others."""
        keys, now = _keys(name, address), self._now()
        keys.pop("address", None)
        with self._database.read() as connection:
            found = self._found(connection, list(keys.values()))
        pair = found.get(keys["pair"])
        fresh = pair is not None and pair.good is not None and now - pair.good < KEPT
        if fresh and not any(each.count for each in found.values()):
            return
        with self._database.write() as connection:
            for kind, key in keys.items():
                if kind == "pair" or key in found:
                    self._put(connection, key, _Count(0, now, now), now)

    def _found(self, connection: sa.Connection, keys: list[str]) -> dict[str, _Count]:
        columns = self._table.c
        query = sa.select(columns.key, columns["count"], columns.blocked_until, columns.good)
        rows = connection.execute(query.where(columns.key.in_(keys)))
        return {key: _Count(count, blocked_until, good) for key, count, blocked_until, good in rows}

    def _put(self, connection: sa.Connection, key: str, count: _Count, now: datetime.datetime) -> None:
        connection.execute(self._table.delete().where(self._table.c.key == key))
        values = {"count": count.count, "blocked_until": count.blocked_until, "good": count.good}
        connection.execute(self._table.insert().values(key=key, last=now, **values))

    def _forget(self, connection: sa.Connection, now: datetime.datetime) -> None:
        table = self._table
        unknown = sa.or_(table.c.good.is_(None), table.c.good < now - KNOWN)
        connection.execute(table.delete().where(table.c.last < now - KEPT, unknown))

    def _now(self) -> datetime.datetime:
        return self._clock().astimezone(datetime.UTC).replace(tzinfo=None)


def network_of(address: str) -> str:
    """What one person may have all of: an address, of IPv6 its /64; "" for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed.ipv4_mapped)
    return str(parsed)


def _keys(name: str, address: str) -> dict[str, str]:
    """Hashes: people type passwords into the wrong field."""
    return {
        kind: hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()
        for kind, what in _said(name, address)
    }


def _said(name: str, address: str) -> Iterator[tuple[str, str]]:
    network = network_of(address)
    yield "pair", f"pair\0{name}\0{network}"
    yield "name", f"name\0{name}"
    if network:
        yield "address", f"address\0{network}"


def _pause(kind: str, count: int) -> datetime.timedelta:
    over = count - FREE[kind]
    return datetime.timedelta(seconds=min(LONGEST_WAIT, 2.0 ** min(over, DOUBLINGS)) if over >= 0 else 0)


def _stands(blocked_until: datetime.datetime, now: datetime.datetime) -> bool:
    """A longer wait than the longest one is that of a clock that was put back: it keeps nobody out."""
    return now < blocked_until <= now + datetime.timedelta(seconds=LONGEST_WAIT)


def _is_known(pair: _Count | None, now: datetime.datetime) -> bool:
    return pair is not None and pair.good is not None and now - pair.good < KNOWN
