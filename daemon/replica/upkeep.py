"""What keeps a replica in order beside its passes: `check`, and what its conflict log must not keep."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crmsync.config.replica import COMPANIONS
from crmsync.connectors.errors import ConnectorError, Forbidden, NotFound
from crmsync.daemon.replica.context import naive
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.narrow import narrowed
from crmsync.state.errors import StateError
from crmsync.state.replica import job_store
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import shape

__all__ = ["check", "erase", "prune"]

AT_ONCE = 500


def check(keeper: Keeper) -> dict[str, Any]:
    """Whether its file can be used, and every object and field of the configuration is there: ``{"name", "ok",
    "message", "hint"}``. One request for each object."""
    name = f"replica of crm.{keeper.name}"
    try:
        if keeper.mode() is Mode.OFFLINE:
            return _line(name, True, f"{keeper.place}; the CRM was not asked, for the mode is offline")
        wrong = list(_wrong(keeper))
    except StateError as error:
        return _line(name, False, error.message, error.hint)
    except ConnectorError as error:
        return _line(name, False, error.message, error.hint)
    if wrong:
        hint = (
            f"correct objects and fields in [crm.{keeper.name}.replica_settings], or let the login see them"
        )
        return _line(name, False, "; ".join(wrong), hint)
    return _line(name, True, f"{', '.join(keeper.settings.objects)} in {keeper.place}")


def _wrong(keeper: Keeper) -> Iterator[str]:
    upstream = keeper.upstream()
    upstream.who()
    for name in keeper.settings.objects:
        wanted = keeper.settings.wanted.get(name)
        try:
            reply = upstream.describe(name)
            shape(reply if wanted is None else narrowed(reply, wanted))
        except ValueError as error:
            yield str(error)
        except ConnectorError as error:
            if error.retry:
                raise
            if name in COMPANIONS and isinstance(error, Forbidden | NotFound):
                continue
            yield f"{name}: {error.message}"


def prune(keeper: Keeper, before: datetime) -> int:
    """Forgets conflicts that are decided and older; how many those were."""
    with keeper.database.write() as work:
        table = work.shared.conflicts
        old = (table.c.at < naive(before), (table.c.winner != "held") | (table.c.resolved != ""))
        told = work.shared.from_sync
        over = (told.c.at < naive(before), told.c.state == "told")
        work.connection.execute(told.delete().where(*over))
        return int(work.connection.execute(table.delete().where(*old)).rowcount)


def erase(keeper: Keeper, address: str) -> int:
    """Takes what names this address out of the conflict log and the Bulk jobs; how many those were. The rows are the
    CRM's own: they go when it deletes them."""
    with keeper.database.write() as work:
        gone = job_store.erase(work.connection, address)
    wanted, last = address.casefold(), -1
    while True:
        with keeper.database.write() as work:
            table = work.shared.conflicts
            some = work.where(table, table.c.seq > last, limit=AT_ONCE)
            found = [row["seq"] for row in some if wanted in _text(row)]
            _drop(work, found)
        gone += len(found)
        if len(some) < AT_ONCE:
            return gone
        last = some[-1]["seq"]


def _drop(work: Work, numbers: list[int]) -> None:
    table = work.shared.conflicts
    work.connection.execute(table.delete().where(table.c.seq.in_(numbers)))


def _text(row: dict[str, Any]) -> str:
    values = [row[side] for side in ("base", "local", "server")]
    return json.dumps(values, ensure_ascii=False).casefold()


def _line(name: str, ok: bool, message: str, hint: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "message": message, "hint": hint}
