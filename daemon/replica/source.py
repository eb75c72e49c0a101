"""The sync's CRM side where the CRM has a replica: the CRM itself as long as it is there, and its copy while it is not.

Which of the two it is stands for a cycle: it is looked when the cycle asks for the collections.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import Collection, Connector, Kind, Side
from crmsync.connectors.errors import ConnectorError, Unreachable
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.telephony.people import Person
from crmsync.daemon.replica.desk import ReplicaDesk
from crmsync.daemon.replica.modes import AWAY, Mode

__all__ = ["ReplicaSource"]


class ReplicaSource:
    """Safe to use from several threads."""

    side = Side.CRM

    def __init__(
        self, lazy: Any, live: Callable[[], SalesforceSource], copy: SalesforceSource, desk: ReplicaDesk
    ) -> None:
        """`lazy`: the source of the CRM itself, whose secrets are read when it is first used; `live`: that one."""
        self._lazy, self._live, self._copy, self._desk = lazy, live, copy, desk
        self._keeper = desk.keeper
        self._there: bool | None = None  # None: nobody has looked yet
        self._held: frozenset[str] = frozenset()  # collections that the copy has all of
        self._lacking: Mapping[Kind, str] = {}  # why it does not do for the others

    def identity(self) -> str:
        if self._is_there():
            return str(self._lazy.identity())
        return self._filled()

    def user_id(self, username: str) -> str:
        if self._is_there():
            found = str(self._lazy.user_id(username))
            self._remember(username, found)
            return found
        with self._keeper.database.read() as work:
            known = (work.property("users") or {}).get(username)
        if known is None:
            raise Unreachable(f"the CRM is away, and only it can say who {username} is")
        return str(known)

    def collections(self) -> Sequence[Collection]:
        """While the CRM is away, those that its copy has all of."""
        self._look()
        if self._there:
            return self._live().collections()
        self._filled()
        lacking = {c: self._lacks(c) for c in self._copy.collections()}
        found = [c for c, reason in lacking.items() if not reason]
        self._held = frozenset(c.id for c in found)
        self._lacking = {kind: reason for c, reason in lacking.items() if reason for kind in c.kinds}
        return found

    def unrepresented(self) -> Mapping[Kind, str]:
        return {} if self._there else self._lacking

    def open(self, collection: Collection) -> Connector:
        if not self._is_there() and collection.id in self._held:
            return self._copy.open_copy(collection, self._desk)
        return self._live().open_beside(collection, self._desk)

    def people(self, number: str, user: str) -> Sequence[Person]:
        """Nobody who is called waits for a CRM that is known to be away."""
        if self._keeper.resting() or self._keeper.away():
            raise Unreachable("the CRM is away")
        live = self._live()

        def rights(ids: Sequence[str]) -> Mapping[str, Access]:
            told = live.access(user, ids)
            self._desk.grant(user, ids, told)
            return told

        return live.people(number, user, rights=rights)

    def people_here(self, number: str, username: str) -> Sequence[Person]:
        with self._keeper.database.read() as work:
            user = (work.property("users") or {}).get(username)
        if user is None:
            return ()
        self._filled()
        return self._copy.people(number, user, rights=partial(self._desk.may_read, user))

    def replication(self) -> Any:
        return self._lazy.replication()

    def lacking(self) -> Sequence[str]:
        found: Sequence[str] = self._lazy.lacking()
        return found

    @property
    def usage(self) -> float:
        return float(self._lazy.usage)

    def clock_offset(self) -> timedelta:
        offset: timedelta = self._lazy.clock_offset()
        return offset

    def requests(self) -> int:
        return int(self._lazy.requests())

    def close(self) -> None:
        self._lazy.close()
        self._copy.close()

    # ── Whether it is there ──────────────────────────────────────────────────────────────────────────────────

    def _is_there(self) -> bool:
        if self._there is None:
            self._look()
        return bool(self._there)

    def _look(self) -> None:
        """One request. Raises ConnectorError where the replica is not to stand in for the CRM."""
        mode = self._keeper.mode()
        if mode is Mode.OFFLINE:
            self._there = False
            return
        try:
            self._live().replication().clock()
        except ConnectorError as error:
            self._keeper.noted(error)
            if error.code not in AWAY or mode is not Mode.AUTO:
                raise
            self._there = False
            return
        self._keeper.noted(None)
        self._there = True

    def _filled(self) -> str:
        """Whose the copy is."""
        with self._keeper.database.read() as work:
            login, since = work.property("login"), work.property("since")
        if login is None or since is None:
            raise Unreachable("the CRM is away, and its copy on this machine has never been filled")
        return str(login[0])

    def _lacks(self, collection: Collection) -> str:
        """What the copy does not have of all that is exchanged of the object: an edit of that would be missed."""
        table = self._copy.copied(collection)
        reason = table.lacking(narrowed=table.name in self._keeper.settings.wanted)
        return f"its copy will not do: {reason}" if reason else ""

    def _remember(self, username: str, user: str) -> None:
        with self._keeper.database.read() as work:
            known = work.property("users") or {}
        if known.get(username) != user:
            with self._keeper.database.write() as work:
                work.set_property("users", {**(work.property("users") or {}), username: user})
