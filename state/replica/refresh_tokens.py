"""Refresh tokens: with one a program gets new sessions of a user until it is revoked. Only hashes are kept."""

import datetime
import hashlib
import secrets
from collections.abc import Callable

import sqlalchemy as sa

from crmsync.state.replica import service_tables
from crmsync.state.replica.database import Database
from crmsync.state.replica.service_tables import refresh_tokens
from crmsync.state.replica.store import Clock

__all__ = ["RefreshTokens"]

IDLE = datetime.timedelta(days=90)  # of a token that is not used
MOST = 20  # of one user and client; the oldest make room


class RefreshTokens:
    """Safe for threads and processes."""

    def __init__(
        self, database: Database, clock: Clock, *, random: Callable[[int], str] = secrets.token_urlsafe
    ) -> None:
        self._database, self._clock, self._random = database, clock, random
        service_tables.prepare(database)

    def new(self, user_id: str, client_id: str) -> str:
        token, now = f"5Aep{self._random(48)}", self._now()
        table = refresh_tokens
        mine = sa.select(table.c.hash).where(table.c.user_id == user_id, table.c.client_id == client_id)
        surplus = mine.order_by(table.c.used.desc()).offset(MOST - 1)
        with self._database.write() as connection:
            old = list(connection.scalars(surplus))
            connection.execute(table.delete().where(sa.or_(table.c.hash.in_(old), table.c.used < now - IDLE)))
            values = {"user_id": user_id, "client_id": client_id, "used": now}
            connection.execute(table.insert().values(hash=_hashed(token), **values))
        return token

    def user(self, token: str, client_id: str) -> str | None:
        """Whose token this is, of this client; its time is renewed."""
        table, now = refresh_tokens, self._now()
        this = table.c.hash == _hashed(token), table.c.client_id == client_id, table.c.used >= now - IDLE
        with self._database.write() as connection:
            user_id: str | None = connection.scalar(sa.select(table.c.user_id).where(*this))
            if user_id is not None:
                connection.execute(table.update().where(*this).values(used=now))
        return user_id

    def revoke(self, token: str) -> None:
        with self._database.write() as connection:
            connection.execute(refresh_tokens.delete().where(refresh_tokens.c.hash == _hashed(token)))

    def _now(self) -> datetime.datetime:
        return self._clock().astimezone(datetime.UTC).replace(tzinfo=None)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
