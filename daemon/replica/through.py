"""What does not wait for a pass: what was changed here goes out at once, a record is looked at once more."""

from collections.abc import Collection

from crmsync.daemon.replica.births import creates
from crmsync.daemon.replica.context import Context, Stage, Tally, naive
from crmsync.daemon.replica.pull import session
from crmsync.daemon.replica.push import local_deletes, look, updates
from crmsync.daemon.replica.window import Window, opened
from crmsync.state.replica.local import arrivals, edits
from crmsync.state.replica.local.temporary import is_temporary

__all__ = ["refresh", "send", "send_some"]


def send(context: Context) -> Tally:
    """The second half of a pass: all that waits is sent. Raises ConnectorError; what was not sent goes on waiting."""
    window = _begun(context)
    context.enter(Stage.LOCAL_DELETES)
    local_deletes(context, window)
    context.enter(Stage.CREATES)
    creates(context, window)
    context.enter(Stage.UPDATES)
    updates(context, window)
    return context.tally


def send_some(context: Context, ids: Collection[str]) -> Tally:
    """Of these records what was changed or deleted; nothing else goes out with it."""
    window = _begun(context)
    context.enter(Stage.LOCAL_DELETES)
    local_deletes(context, window, only=ids)
    context.enter(Stage.UPDATES)
    updates(context, window, only=ids)
    return context.tally


def refresh(context: Context, record_id: str) -> None:
    """The row as the upstream has it now."""
    with context.database.read() as work:
        current = edits.current_id(work, record_id)
        name = work.type_of(current).name
    if is_temporary(current):
        return  # nothing stands there yet
    window = _moment(context)
    seen = look(context, name, [current])
    with context.database.write() as work:
        if current in seen.deleted:
            arrivals.gone(work, name, [current], context.policy, naive(window.end))
        elif current in seen.rows and work.get(work.shared.deletelist, current) is None:
            arrivals.settle(work, name, seen.rows[current], context.policy, naive(window.end))


def _begun(context: Context) -> Window:
    context.enter(Stage.SESSION)
    session(context)
    return _moment(context)


def _moment(context: Context) -> Window:
    """A window that is used for its end only: the windows of passes are not touched."""
    context.enter(Stage.WINDOW)
    return opened(context.upstream.clock(), None, None)
