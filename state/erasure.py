"""``forget``: every trace of a pair goes."""

import re
from collections.abc import Iterable

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)

from crmsync.connectors.contract import Side
from crmsync.state.model import Pair
from crmsync.state.pairs import Pairs
from crmsync.state.rows import chunked
from crmsync.state.tables import (
    conflicts,
    cycles,
    held,
    history,
    index_rows,
    intents,
    jobs,
    pairs,
    queue,
    visits,
)
from crmsync.state.values import qualified


def erase(connection: Connection, pair_ids: Iterable[int], account: str) -> None:
    """See ``Tx.erase``. Pairs of another account are left alone."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # overwritten with zeros, not only given free
    for chunk in chunked(pair_ids, 100):
        found = [pair for pair in Pairs(connection).get_many(chunk).values() if pair.account == account]
        ids = [pair.id for pair in found]
        for table in (conflicts, held, intents, history):
            connection.execute(delete(table).where(table.c.account == account, table.c.pair_id.in_(ids)))
        for pair in found:
            _erase_by_name(connection, pair)
            _erase_visits(connection, pair)
        connection.execute(delete(pairs).where(pairs.c.id.in_(ids)))
        _erase_errors(
            connection, account, frozenset(id for pair in found for id in (pair.ecs_id, pair.crm_id))
        )


def _erase_visits(connection: Connection, pair: Pair) -> None:
    """What was decided stays in the audit log, of what it was does not."""
    ends = [v for id in (pair.ecs_id, pair.crm_id) if id for v in (f" of {id}", f"/{id}")]
    named = or_(*(visits.c.detail.endswith(end, autoescape=True) for end in ends))
    connection.execute(update(visits).where(named).values(detail="about an item that was forgotten"))


def erase_address(connection: Connection, address: str) -> None:
    """What still names this address in any account: history of items whose link is gone, former values, conflicts, and
    writes that were announced. The whole item goes, not only the line."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    text = address.strip().lower()
    if not text:
        raise ValueError("an address that is none is in every text")
    h, c, i = history.c, conflicts.c, intents.c
    named = or_(func.lower(h.old) == text, func.lower(h.new) == text, _within(connection, h.native, text))
    rows = connection.execute(select(h.id, h.account, h.pair_id, h.ecs_id, h.crm_id).where(named)).all()
    connection.execute(delete(history).where(named))
    for _, account, pair_id, ecs_id, crm_id in rows:
        same = [h.pair_id == pair_id] if pair_id is not None else []
        same += [and_(h.ecs_id == ecs_id, h.crm_id == crm_id)]
        connection.execute(delete(history).where(h.account == account, or_(*same)))
        if pair_id is not None:
            connection.execute(delete(conflicts).where(c.account == account, c.pair_id == pair_id))
    values = (c.base, c.ecs, c.crm, c.chosen)
    connection.execute(delete(conflicts).where(or_(*(func.lower(v) == text for v in values))))
    announced = (_within(connection, i.columns, text), _within(connection, i.native, text))
    connection.execute(delete(intents).where(or_(*announced)))
    told = _within(connection, jobs.c.result, text)  # errors of items, in a server's words
    connection.execute(update(jobs).where(told).values(result={}))


def _within(connection: Connection, column: Column[str], address: str) -> ColumnElement[bool]:
    """The rows whose text has the address in it, and not only as the end or beginning of somebody else's. Long lines
    of an item are folded: CRLF and a space may stand anywhere."""
    table, text = column.table, func.lower(cast(column, Text))
    assert isinstance(table, Table)
    unfolded = func.replace(func.replace(text, "\r\n ", ""), "\n ", "")
    inside = "%" + address.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    whole = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)")
    candidates = connection.execute(select(table.c.id, unfolded).where(unfolded.like(inside, escape="\\")))
    return table.c.id.in_([id for id, found in candidates if whole.search(found)])


def _erase_by_name(connection: Connection, pair: Pair) -> None:
    """What was written down before the pair had an id."""
    ends = (
        (Side.ECS, pair.ecs_collection, pair.ecs_id),
        (Side.CRM, pair.crm_collection, pair.crm_id),
    )
    for side, collection, item in ends:
        connection.execute(
            delete(queue).where(
                queue.c.account == pair.account,
                queue.c.side == side,
                queue.c.collection == collection,
                queue.c.item == item,
            )
        )
        names = (item, qualified(collection, item))
        connection.execute(
            delete(intents).where(intents.c.account == pair.account, intents.c.item.in_(names))
        )
    h, i = history.c, index_rows.c
    ecs = and_(h.ecs_collection == pair.ecs_collection, h.ecs_id == pair.ecs_id)
    crm = and_(h.crm_collection == pair.crm_collection, h.crm_id == pair.crm_id)
    connection.execute(delete(history).where(h.account == pair.account, or_(ecs, crm)))
    same = or_(held.c.item == pair.ecs_id, held.c.record == pair.crm_id)
    connection.execute(delete(held).where(held.c.account == pair.account, same))
    connection.execute(
        delete(index_rows).where(
            i.account == pair.account, i.collection == pair.ecs_collection, i.item == pair.ecs_id
        )
    )


def _erase_errors(connection: Connection, account: str, items: frozenset[str]) -> None:
    noted = select(cycles.c.id, cycles.c.errors).where(cycles.c.account == account, cycles.c.errors != [])
    for id, errors in connection.execute(noted).all():
        kept = [error for error in errors if error.get("item") not in items]
        if kept != errors:
            connection.execute(update(cycles).where(cycles.c.id == id).values(errors=kept))
