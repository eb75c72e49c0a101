"""From the upstream to here: descriptions, deletions, and what was modified, in waves."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import sqlalchemy as sa

from crmsync.config.replica import COMPANIONS
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError
from crmsync.daemon.replica.context import Context, Stage, naive
from crmsync.daemon.replica.narrow import narrowed
from crmsync.daemon.replica.push import look
from crmsync.daemon.replica.window import Window, opened, waves
from crmsync.state.replica.local import arrivals
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_from
from crmsync.state.replica.local.tables import CREATED

__all__ = [
    "close_window",
    "deletions",
    "describe",
    "modified",
    "move",
    "open_window",
    "server_deletes",
    "session",
]

AT_ONCE = 500


def session(context: Context) -> None:
    """Raises ForeignLogin when the file was filled through another login."""
    organisation, context.user = context.upstream.who()
    context.database.claim(organisation, context.user)


def describe(context: Context) -> None:
    try:
        told = {name: reply for name in context.objects if (reply := _described(context, name)) is not None}
        context.database.learn(told)
    except ValueError as error:
        raise ProtocolError(str(error), hint="take the object out of those that are replicated") from error
    context.objects = [name for name in context.objects if name in told]


def _described(context: Context, name: str) -> Mapping[str, object] | None:
    """None for what only comes along, and cannot be seen."""
    try:
        reply = context.upstream.describe(name)
    except (Forbidden, NotFound):
        if name not in COMPANIONS or name in context.database.tables.groups:
            raise
        return None
    try:
        return narrowed(reply, context.wanted[name]) if name in context.wanted else reply
    except ValueError as error:
        raise ProtocolError(str(error), hint=f"name others in replica_settings.fields.{name}") from error


# ── The window ───────────────────────────────────────────────────────────────────────────────────────────────


def open_window(context: Context) -> tuple[Window, bool]:
    """That of a pass that broke off, or a new one by the server's clock; and whether it is the former."""
    now = context.upstream.clock()
    with context.database.write() as work:
        standing = work.property("window")
        if standing is not None:
            return Window.decode(standing), True
        since, deletes_since = work.property("since"), work.property("deletes since")
        window = opened(now, _moment(since), _moment(deletes_since))
        filled, refill = work.property("filled") or [], work.property("refill") or []
        work.set_property("window", window.encode())
        work.set_property("whole", [n for n in context.objects if n not in filled or n in refill])
    return window, False


def close_window(context: Context, window: Window) -> None:
    """The next pass begins where this one ended; nothing of it is left."""
    with context.database.write() as work:
        if left := arrivals.leftovers(work, context.objects):
            raise AssertionError(f"the pass left rows behind: {', '.join(left)}")
        whole = work.property("whole") or []
        work.set_property("since", window.end.isoformat())
        covered = work.property("covered") or window.deletes_end.isoformat()
        work.set_property("deletes since", covered)
        work.set_property("filled", sorted({*(work.property("filled") or ()), *whole}))
        refill = [n for n in work.property("refill") or () if n not in whole]
        work.set_property("refill", refill or None)
        for name in whole:
            work.set_property(f"compared {name}", window.end.isoformat())
        for name in ("window", "whole", "covered", *(f"reached {n}" for n in context.objects)):
            work.set_property(name, None)


# ── Deletions ────────────────────────────────────────────────────────────────────────────────────────────────


def deletions(context: Context, window: Window) -> None:
    """Stages what the upstream says is deleted."""
    covered = window.deletes_end
    for name in context.objects:
        type_ = context.database.tables.shapes.of(name)
        if window.deletes_start is None or not type_.deletable or not _stands(context, name):
            continue
        if not window.tellable or _due(context, name, window):
            _compare(context, name, window)
            continue
        told = context.upstream.deleted(name, window.deletes_start, window.deletes_end)
        if told.earliest > window.deletes_start:
            _compare(context, name, window)
            continue
        covered = min(covered, told.covered)
        with context.database.write() as work:
            _stage_deleted(work, name, told.ids)
    with context.database.write() as work:
        work.set_property("covered", covered.isoformat())


def _stands(context: Context, name: str) -> bool:
    with context.database.read() as work:
        return name in (work.property("filled") or ())


def _stage_deleted(work: Work, name: str, told: Sequence[str]) -> None:
    ids = list(told)
    group, shared = work.group(name), work.shared
    here = {*work.many(group.main, ids), *work.many(group.synced, ids), *work.many(shared.deletelist, ids)}
    work.put(group.todelete, [{"Id": i, "proven": True, "told": True} for i in sorted(here)])


def _due(context: Context, name: str, window: Window) -> bool:
    """Whether the last comparison is long ago. The list of deletions says nothing of rows that were closed to the
    login, and the modified ones nothing of those that were opened to it."""
    with context.database.read() as work:
        last = _moment(work.property(f"compared {name}"))
    return last is None or window.end - last >= context.compare


def _compare(context: Context, name: str, window: Window) -> None:
    """What is not in a complete listing of the ids is gone, or closed to the login; what is in it and not here was
    opened to it. Until the listing is complete nothing is proven, and a pass that breaks off forgets it."""
    group = context.database.tables.groups[name]
    with context.database.write() as work:
        work.connection.execute(group.todelete.delete())
        known = sa.select(group.main.c.Id, sa.false(), sa.false()).where(group.main.c[CREATED].is_(False))
        work.connection.execute(group.todelete.insert().from_select(["Id", "proven", "told"], known))
    for ids in context.upstream.listing(name):
        with context.database.write() as work:
            work.drop(group.todelete, ids)
            unknown = arrivals.unknown(work, name, ids)
        if unknown:
            rows = look(context, name, unknown).rows
            with context.database.write() as work:
                context.count(pulled=arrivals.stage(work, name, list(rows.values()), first=False))
    with context.database.write() as work:
        work.connection.execute(group.todelete.update().values(proven=True))
        work.set_property(f"compared {name}", window.end.isoformat())


def server_deletes(context: Context, window: Window) -> None:
    for name in context.objects:
        group = context.database.tables.groups[name]
        with context.database.write() as work:
            work.connection.execute(group.todelete.delete().where(group.todelete.c.proven.is_(False)))
        while True:
            with context.database.write() as work:
                rows = work.after(group.todelete, "", AT_ONCE)
                removed = 0
                for told in (True, False):
                    ids = [row["Id"] for row in rows if row["told"] is told]
                    removed += arrivals.gone(work, name, ids, context.policy, naive(window.end), told=told)
            if not rows:
                break
            context.count(removed=removed)


# ── Modified rows ────────────────────────────────────────────────────────────────────────────────────────────


def modified(context: Context, window: Window) -> None:
    with ThreadPoolExecutor(max_workers=context.workers) as pool:
        running = [pool.submit(_object, context, window, name) for name in context.objects]
    for each in running:
        each.result()  # the first failure of any object


def _object(context: Context, window: Window, name: str) -> None:
    with context.database.read() as work:
        reached = _moment(work.property(f"reached {name}"))
        whole = name in (work.property("whole") or ())
        first = name not in (work.property("filled") or ())
    start = reached or (context.upstream.earliest(name) if whole else window.start)
    for begin, end in waves(start or window.end, window.end):
        context.enter(Stage.MODIFIED, f"{name} {begin:%Y-%m-%d}")
        _wave(context, name, begin, end, first=first)
        with context.database.write() as work:
            work.set_property(f"reached {name}", end.isoformat())


def _wave(context: Context, name: str, begin: datetime, end: datetime, *, first: bool) -> None:
    type_ = context.database.tables.shapes.of(name)
    for page in context.upstream.modified(name, context.fields(name), begin, end):
        rows = [row_from(type_, raw) for raw in page]
        with context.database.write() as work:
            context.count(pulled=arrivals.stage(work, name, rows, first=first))


def move(context: Context, window: Window) -> None:
    """What was staged becomes what a person sees."""
    for name in context.objects:
        last, more = "", True
        while more:
            with context.database.write() as work:
                last, _ = arrivals.move(work, name, context.policy, naive(window.end), last)
            more = bool(last)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
