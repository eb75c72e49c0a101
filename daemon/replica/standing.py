"""How a replica stands, as plain data: its traffic light and what it counts."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.modes import AWAY, Mode, acting
from crmsync.state.errors import StateError
from crmsync.state.replica.local.rows import Work

__all__ = ["light", "of"]

COUNTS = ("waiting", "conflicts", "rejected")
PATIENCE = timedelta(minutes=10)  # without a pass that came through, at least, before that is worth a word


def light(
    *, busy: bool, how: Mode, trouble: str, undecided: int, last: datetime | None, waiting: int, stale: bool
) -> str:
    """The first that holds. Words as those of accounts."""
    if busy:
        return "syncing"
    if how is Mode.OFFLINE or trouble in AWAY:
        return "offline"
    if trouble:
        return "failing"
    if undecided:
        return "decision"
    if last is None or stale:
        return "stale"
    return "waiting" if waiting else "in_step"


def of(keeper: Keeper, now: datetime) -> dict[str, Any]:
    """A file that cannot be opened is a light, too: the accounts have nothing to do with it."""
    try:
        return _read(keeper, now)
    except (StateError, sa.exc.DBAPIError) as error:
        mode = keeper.settings.mode.value
        trouble = {"code": "state_failed", "message": str(error), "since": _text(now)}
        return _document(keeper, "failing", mode, mode, None, dict.fromkeys(COUNTS, 0), trouble)


def _read(keeper: Keeper, now: datetime) -> dict[str, Any]:
    with keeper.database.read() as work:
        counts = _counts(work)
        wanted = Mode(work.property("mode") or keeper.settings.mode)
        trouble: Mapping[str, str] = work.property("trouble") or {}
        last = _moment(work.property("last success"))
    code, progress = trouble.get("code", ""), keeper.stages.shown()
    how = acting(wanted, code)
    stale = last is not None and now - last > max(PATIENCE, 3 * keeper.settings.interval)
    shown = light(
        busy=progress is not None,
        how=how,
        trouble=code,
        undecided=counts["conflicts"] + counts["rejected"],
        last=last,
        waiting=counts["waiting"],
        stale=stale,
    )
    told = {**trouble, "since": _text(_moment(trouble["since"]))} if trouble else None
    return _document(keeper, shown, wanted.value, how.value, last, counts, told)


def _document(
    keeper: Keeper,
    light: str,
    mode: str,
    acting: str,
    last: datetime | None,
    counts: Mapping[str, int],
    trouble: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "name": keeper.name,
        "light": light,
        "mode": mode,
        "acting": acting,
        "last_success": _text(last),
        "interval": keeper.settings.interval.total_seconds(),
        **counts,
        "progress": keeper.stages.shown(),
        "error": trouble,
        "total": {**asdict(keeper.total), "seconds": keeper.stages.seconds()},
    }


def _counts(work: Work) -> dict[str, int]:
    shared = work.shared
    queues = [
        (shared.createlist, ()),
        (shared.deletelist, (shared.deletelist.c.Id == shared.deletelist.c.root,)),
    ]
    queues += [(group.tosync, ()) for group in work.tables.groups.values()]
    return {
        "waiting": sum(work.count(table, table.c.state == "ready", *more) for table, more in queues),
        "conflicts": work.count_open_conflicts(),
        "rejected": sum(work.count(table, table.c.state == "rejected", *more) for table, more in queues),
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
