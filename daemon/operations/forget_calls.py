"""Which calls were with a person who is to be forgotten. The columns of a call are the same in the call log and in a
snapshot, so one question serves both."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.telephony.numbers import is_same
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.plan.match import PHONES
from crmsync.state.database import State
from crmsync.state.model import Pair
from crmsync.state.transaction import Tx


@dataclass(frozen=True, slots=True)
class Person:
    """By what calls with somebody are recognised."""

    address: str
    numbers: frozenset[str] = frozenset()  # as they are spelt
    records: frozenset[str] = frozenset()  # ids in the CRM
    regions: Sequence[str | None] = (None,)  # where numbers without a country's code may belong
    _same: dict[str, bool] = field(default_factory=dict)  # by number, whether it is one of theirs

    def has(self, number: str) -> bool:
        if number not in self._same:
            self._same[number] = any(
                is_same(mine, number, region) for mine in self.numbers for region in self.regions
            )
        return self._same[number]

    def named(self, columns: Columns) -> bool:
        """Whether a call is related to the person, or its text has the address in it."""
        if columns.get("regarding") in self.records:
            return True
        whole = re.compile(rf"(?<![\w.+-]){re.escape(self.address)}(?![\w-]|\.\w)", re.IGNORECASE)
        texts = [columns.get(name) for name in ("subject", "description", "number")]
        return any(isinstance(t, str) and whole.search(t) for t in texts)


def person(
    state: State, pairs: Iterable[Pair], address: str, regions: Iterable[str | None] = (None,)
) -> Person:
    """``pairs``: what names the address. Former numbers count as well."""
    contacts = [pair for pair in pairs if pair.kind is Kind.CONTACT]
    numbers: set[str] = set()
    with state.reading() as tx:
        for pair in contacts:
            snapshot = tx.snapshots.get_many([pair.id]).get(pair.id)
            known = snapshot.columns if snapshot is not None else {}
            numbers |= {str(known[name]) for name in PHONES if known.get(name)}
            for entry in tx.history.of_item(pair.id):
                if entry.column in PHONES:
                    numbers |= {v for v in (entry.old, entry.new) if isinstance(v, str) and v}
    records = frozenset(pair.crm_id for pair in contacts if pair.crm_id)
    return Person(address.strip(), frozenset(numbers), records, tuple(dict.fromkeys([None, *regions])))


def is_with(tx: Tx, person: Person, columns: Columns, crm: str) -> bool:
    """Of a number that several have, a call that is related to another one of them is that one's. ``crm``: name of its
    login."""
    if person.named(columns):
        return True
    if not person.has(str(columns.get("number") or "")):
        return False
    regarding = str(columns.get("regarding") or "")
    return not regarding or not any(pair.crm == crm for pair in _contacts(tx, regarding))


def _contacts(tx: Tx, record: str) -> list[Pair]:
    return [pair for pair in tx.pairs.find(record) if pair.kind is Kind.CONTACT and pair.crm_id == record]


def linked_calls(state: State, person: Person, accounts: Iterable[str]) -> list[Pair]:
    """Tasks that stand for a call with the person, as the snapshots have them: also of calls that have left the log."""
    if not (person.numbers or person.records):
        return []
    found: list[Pair] = []
    for account in accounts:
        after = 0
        while True:
            with state.reading() as tx:
                pairs = tx.pairs.iterate(account, after_id=after, limit=500)
                tasks = [pair for pair in pairs if pair.kind in (Kind.TASK, Kind.PHONE_CALL)]
                snapshots = tx.snapshots.get_many([pair.id for pair in tasks])
                found += [
                    pair
                    for pair in tasks
                    if pair.id in snapshots
                    and snapshots[pair.id].columns.get("number")
                    and is_with(tx, person, snapshots[pair.id].columns, pair.crm)
                ]
            if not pairs:
                break
            after = pairs[-1].id
    return found


def sharing(state: State, pairs: Iterable[Pair]) -> list[Pair]:
    """The links that every account has with the records of these, these among them."""
    found: dict[int, Pair] = {}
    with state.reading() as tx:
        for pair in pairs:
            found[pair.id] = pair
            if pair.crm_id:
                same = tx.pairs.accounts_of(pair.crm, pair.crm_collection, [pair.crm_id])
                found |= {one.id: one for one in same.get(pair.crm_id, ())}
    return list(found.values())


def signatures(signer: Signer, pairs: Iterable[Pair], keys: Iterable[str]) -> set[str]:
    """By what items of these calls are recognised on either side, should they be met again. ``keys``: of the calls."""
    ids = {id for pair in pairs for id in (pair.ecs_id, pair.ecs_uid, pair.crm_id)}
    return set(signer.forgotten_items(ids | set(keys)))
