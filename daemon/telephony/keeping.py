"""What is kept of calls, and what has to go: of who is forgotten, and what is old enough."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from crmsync.config.model import Config
from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.connector import CALLS
from crmsync.connectors.calllog.store import CallStore, Row
from crmsync.connectors.contract import Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.operations.forget_calls import Person, is_with
from crmsync.daemon.telephony.logs import LOG_ACCOUNT
from crmsync.state.database import State
from crmsync.state.errors import Locked
from crmsync.state.model import Pair, PairState
from crmsync.state.transaction import Tx

log = logging.getLogger(__name__)

COLLECTION = f"calllog:{CALLS.id}"  # as the state calls it

Call = tuple[str, str]  # account and key


@dataclass(frozen=True, slots=True)
class Whose:
    """An account that has a telephone, or had one."""

    tag: str = "CRM"
    crm: str = ""  # name of its CRM's login
    region: str | None = None  # where numbers without a country's code belong


@dataclass(frozen=True, slots=True)
class Keeping:
    """Safe to use from several threads. Nothing is made where no call was ever kept."""

    file: Path
    history: timedelta
    accounts: Mapping[str, Whose]
    now: Callable[[], datetime]

    @classmethod
    def of(cls, config: Config, now: Callable[[], datetime]) -> "Keeping":
        accounts = {
            name: Whose(
                one.tag,
                one.crm,
                config.telephony[one.telephone].region if one.telephone is not None else None,
            )
            for name, one in config.account.items()
        }
        return cls(config.call_log, config.softphone.history or config.state.history, accounts, now)

    @property
    def regions(self) -> set[str | None]:
        return {whose.region for whose in self.accounts.values()}

    # ── Who is forgotten ─────────────────────────────────────────────────────────────────────────────────────

    def calls_with(self, state: State, person: Person) -> list[Call]:
        """Of whatever account, also those that go on, and those that were deleted. Raises ConnectorError."""
        found: list[Call] = []
        with self._store() as store:
            for account, key, item, content in store.every() if store else ():
                if item is not None and item.gone:
                    continue
                columns = mapping.columns_in(content) if item is not None else mapping.columns_going(content)
                with state.reading() as tx:
                    if is_with(tx, person, columns, self.accounts.get(account, Whose()).crm):
                        found.append((account, key))
        return found

    def pairs(self, state: State, calls: Iterable[Call]) -> list[Pair]:
        """The links of the log itself."""
        with state.reading() as tx:
            return [
                pair
                for account, key in calls
                for pair in tx.pairs.by_ecs(LOG_ACCOUNT.format(account), COLLECTION, [key]).values()
            ]

    def erase(self, calls: Sequence[Call]) -> None:
        """Raises ConnectorError."""
        with self._store() as store:
            if store and calls:
                store.erase(calls, self.now())

    # ── What is old ──────────────────────────────────────────────────────────────────────────────────────────

    def tidy(self, state: State, signer: Signer) -> int:
        """Takes out what is older than configured and has come where it should, and what a copy that was restored has
        of people who were forgotten since; how many calls. The links of the log go with them: what is in the CRM and
        in task lists stays there, and linked with each other."""
        gone = 0
        try:
            with self._store() as store:
                if store is None:
                    return 0
                for account in {account for account, _, row, _ in store.every() if row is not None}:
                    gone += self._tidied(state, signer, store, account)
        except ConnectorError as error:
            log.error("old calls could not be removed: %s", error, extra={"action": "calls.failed"})
        if gone:
            log.info("%d calls have left the call log", gone, extra={"action": "calls.pruned"})
        return gone

    def _tidied(self, state: State, signer: Signer, store: CallStore, account: str) -> int:
        before, gone, serial = self.now() - self.history, 0, 0
        while rows := store.since(account, serial, 200):
            serial = rows[-1].serial
            try:
                with state.lock(LOG_ACCOUNT.format(account)), state.transaction() as tx:
                    known = tx.forgotten.any(h for r in rows for h in signer.forgotten_items([r.id]))
                    old = self._settled(tx, account, [r for r in rows if r.modified < before])
            except Locked:
                return gone  # it is being synced; tomorrow is early enough
            forgotten = [r for r in rows if set(signer.forgotten_items([r.id])) & known]
            store.prune(account, old, before)
            if forgotten:
                store.erase([(account, r.id) for r in forgotten], self.now())
            gone += len({r.id for r in (*old, *forgotten)})
        return gone

    def _settled(self, tx: Tx, account: str, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows of which nothing is to be done any more; their links are taken out."""
        name, ids = LOG_ACCOUNT.format(account), [row.id for row in rows]
        pairs = tx.pairs.by_ecs(name, COLLECTION, ids)
        waiting = {change.item for change in tx.queue.get(name, Side.ECS, COLLECTION, ids)}
        waiting |= {intent.item.removeprefix(f"{COLLECTION}/") for intent in tx.intents.open(name)}
        undecided = {id for id, _ in tx.conflicts.open_for([pair.id for pair in pairs.values()])}
        there = {
            (pair.crm_collection, change.item)
            for pair in pairs.values()
            for change in tx.queue.get(name, Side.CRM, pair.crm_collection, [pair.crm_id])
        }
        tag = self.accounts.get(account, Whose()).tag
        settled = []
        for row in rows:
            pair = pairs.get(row.id)
            if row.id in waiting or not _arrived(row, pair, tag):
                continue
            if pair is not None:
                if pair.id in undecided or (pair.crm_collection, pair.crm_id) in there:
                    continue
                tx.close(pair.id, self.now())
            settled.append(row)
        tx.index.drop(name, COLLECTION, [row.id for row in settled])
        return settled

    @contextmanager
    def _store(self) -> Iterator[CallStore | None]:
        store = CallStore(self.file) if self.file.exists() or self.file.is_symlink() else None
        try:
            yield store
        finally:
            if store is not None:
                store.close()


def _arrived(row: Row, pair: Pair | None, tag: str) -> bool:
    """Whether the other side knows: that it was deleted, or that it was; or need not."""
    if row.gone:
        return pair is None or pair.state is not PairState.LINKED
    return pair is not None or tag not in row.content["tags"]
