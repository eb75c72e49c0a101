"""Who has a number: what the state knows at once, then what the CRM knows."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError

from crmsync.connectors.abilities import Directory
from crmsync.connectors.contract import Columns
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony.numbers import TELLING, is_number, national
from crmsync.connectors.telephony.people import MOST, Acquainted, Person, Remembering
from crmsync.daemon.account import Account
from crmsync.daemon.engine import Engine
from crmsync.daemon.plan.match import PHONES
from crmsync.state.errors import StateError

log = logging.getLogger(__name__)

_SIFTED = 200  # snapshots that are looked through
_FRESH = timedelta(hours=1)  # how long it is believed who somebody is in the CRM


def known(engine: Engine, name: str, number: str) -> list[Person]:
    """Linked contacts of the account with this number, out of the snapshots: no server is asked. Ten thousand contacts
    take 60 ms."""
    digits = national(number)
    if not digits:
        return []
    with engine.state.reading() as tx:
        found = tx.snapshots.with_digits(name, digits[-TELLING:], limit=_SIFTED)
    return [
        _person(snapshot.crm.id, snapshot.columns)
        for snapshot in found
        if any(is_number(str(snapshot.columns.get(n) or ""), digits) for n in PHONES)
    ][:MOST]


def here(engine: Engine, account: Account, number: str) -> list[Person]:
    """What stands on this machine: who is linked, and what a copy of the CRM, if there is one, knows of them."""
    copied = {person.id: person for person in in_the_copy(account, number)}
    linked = known(engine, account.name, number)
    return [*copied.values(), *(person for person in linked if person.id not in copied)][:MOST]


def in_the_copy(account: Account, number: str) -> Sequence[Person]:
    source = account.crm.source
    if not isinstance(source, Remembering) or not number:
        return ()
    try:
        return source.people_here(number, account.crm_user)
    except (ConnectorError, StateError, DBAPIError) as error:
        log.info(
            "the copy of the CRM was not asked for a call: %s", error, extra={"action": "telephone.unknown"}
        )
        return ()


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
    except (ConnectorError, StateError, DBAPIError) as error:
        log.info("nobody was found for a call: %s", error, extra={"action": "telephone.unknown"})
        return None


def _user(account: Account, now: datetime) -> str:
    found = account.crm.users.get(account.crm_user)
    if found is not None and now - found[1] < _FRESH:
        return found[0]
    source = account.crm.source
    assert isinstance(source, Directory)
    return source.user_id(account.crm_user)
