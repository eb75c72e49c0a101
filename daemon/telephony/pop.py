"""Who has a number: what the state knows at once, then what the CRM knows."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from crmsync.connectors.contract import Columns, Directory, Kind
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony.people import MOST, Acquainted, Person
from crmsync.daemon.account import Account
from crmsync.daemon.engine import Engine
from crmsync.state.model import Pair, PairState

log = logging.getLogger(__name__)

_FRESH = timedelta(hours=1)  # how long it is believed who somebody is in the CRM


def known(engine: Engine, name: str, number: str) -> list[Person]:
    """Linked contacts of the account with this number, out of the snapshots: no server is asked."""
    keys = [engine.signer.hashed(Kind.CONTACT, key) for key in _keys(number)]
    with engine.state.reading() as tx:
        rows = [row for some in tx.index.find(name, keys).values() for row in some]
        pairs: dict[str, Pair] = {}
        for collection in {row.collection for row in rows}:
            pairs |= tx.pairs.by_ecs(name, collection, [r.item for r in rows if r.collection == collection])
        linked = [p for p in pairs.values() if p.kind is Kind.CONTACT and p.state is PairState.LINKED]
        snapshots = tx.snapshots.get_many([p.id for p in linked])
    shown = [(p.crm_id, snapshots[p.id].columns) for p in linked if p.id in snapshots]
    return [_person(id, columns) for id, columns in shown][:MOST]


def _keys(number: str) -> frozenset[str]:
    from crmsync.daemon.plan.match import keys_of

    return keys_of(Kind.CONTACT, {"phone_work": number})


def _person(id: str, columns: Columns) -> Person:
    def text(*names: str) -> list[str]:
        return [str(columns[n]) for n in names if columns.get(n)]

    return Person(
        id,
        "contact",
        " ".join(text("first_name", "last_name")),
        " ".join(text("job_title")),
        " ".join(text("company")),
        ", ".join(text("address_work_city", "address_work_country")),
    )


def in_the_crm(account: Account, number: str, now: datetime) -> Sequence[Person] | None:
    """What the CRM knows; None where it cannot be asked just now."""
    source = account.crm.source
    if not isinstance(source, Acquainted) or not number:
        return ()
    try:
        return source.people(number, _user(account, now))
    except ConnectorError as error:
        log.info("nobody was found for a call: %s", error, extra={"action": "telephone.unknown"})
        return None


def _user(account: Account, now: datetime) -> str:
    found = account.crm.users.get(account.crm_user)
    if found is not None and now - found[1] < _FRESH:
        return found[0]
    source = account.crm.source
    assert isinstance(source, Directory)
    return source.user_id(account.crm_user)
