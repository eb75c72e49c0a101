"""Contradicted: gone, says the server, and its list of changes has said nothing.

Either the item went a moment ago, and the next list tells; or the answer is about something else (seen: a proxy that
handed out another user's); or the list has told already, and nobody can ask for that again: then only the whole listing
can say.
"""

from collections.abc import Sequence

from crmsync.connectors.contract import Gone, Side
from crmsync.daemon.cycle.apply import defer
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.work import Work
from crmsync.state.model import Change, Detected
from crmsync.state.transaction import Tx

_CODE = "contradiction"
_REASON = "the server says that it is gone, and its list of changes does not"
_LEFT_OUT = "?"  # version of what a whole listing lacks, which does not prove that it is gone


def contradicted(cx: Context, works: Sequence[Work]) -> None:
    """Those that are gone, as the server says and not its list, wait for the list."""
    for work in works:
        if isinstance(work.ecs, Gone) and not listed_as_gone(work.rows):
            work.ecs = None
            with cx.state.transaction() as tx:
                wait_for_the_list(cx, tx, work.pair.ecs_collection, work.rows)


def listed_as_gone(rows: Sequence[Change]) -> bool:
    return any(r.side is Side.ECS and (r.gone or r.version == _LEFT_OUT) for r in rows)


def left_out(item: str) -> Detected:
    """An occurrence that a whole listing lacks, of a series that is there: it is looked at."""
    return Detected(item, _LEFT_OUT)


def wait_for_the_list(cx: Context, tx: Tx, collection: str, rows: Sequence[Change]) -> None:
    """Until the list of changes says it too: then the row is due at once. If the next one does not, the collection is
    listed as a whole; if that names the item as well, it is tried again like anything that failed."""
    ids, attempts = [r.id for r in rows], max((r.attempts for r in rows if r.code == _CODE), default=0)
    if attempts > 1:
        defer(cx, tx, ids, attempts, rows[0].item, _CODE, _REASON)
        return
    if attempts == 1 and (place := cx.places.get(collection)) is not None:
        cx.list_anew(tx, cx.scope(place))
    cx.again = True
    tx.queue.defer(ids, cx.now() + cx.retries.first, _CODE, _REASON)
