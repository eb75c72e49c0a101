"""One pass, from top to bottom; and passes until nothing changes.

A pass may be ended at any instruction. What it has done stands in the database, and the next one goes on from there:
in the same window, at the wave that was not complete.
"""

import logging

from crmsync.daemon.replica.births import creates
from crmsync.daemon.replica.context import Context, Stage, Tally
from crmsync.daemon.replica.pull import (
    close_window,
    deletions,
    describe,
    modified,
    move,
    open_window,
    server_deletes,
    session,
)
from crmsync.daemon.replica.push import local_deletes, updates

__all__ = ["bring_in_step"]

log = logging.getLogger(__name__)
MOST_PASSES = 10  # something there answers each of our writes with one of its own: go on another time


def bring_in_step(context: Context) -> Tally:
    """Raises ConnectorError when the conversation fails; the next call goes on where it did."""
    total = Tally()
    for _ in range(MOST_PASSES):
        context.tally = Tally(passes=1)
        asked = context.upstream.requests()
        late = one_pass(context)
        context.tally.requests = context.upstream.requests() - asked
        total.add(context.tally)
        if not context.tally.written() and not late:
            break
    did = total.pulled or total.removed or total.written() or total.rejected
    log.log(
        logging.INFO if did else logging.DEBUG,
        "replica in step: %d pulled, %d removed, %d written, %d rejected, in %d passes",
        total.pulled,
        total.removed,
        total.written(),
        total.rejected,
        total.passes,
        extra={"action": "replica.in_step"},
    )
    return total


def one_pass(context: Context) -> bool:
    """Whether it went on with the window of one that broke off: what has come since lies behind that."""
    context.enter(Stage.SESSION)
    session(context)
    context.enter(Stage.DESCRIBE)
    describe(context)
    context.enter(Stage.WINDOW)
    window, late = open_window(context)
    context.enter(Stage.DELETES)
    deletions(context, window)
    context.enter(Stage.MODIFIED)
    modified(context, window)
    context.enter(Stage.SERVER_DELETES)
    server_deletes(context, window)
    context.enter(Stage.LOCAL_DELETES)
    local_deletes(context, window)
    context.enter(Stage.CREATES)
    creates(context, window)
    context.enter(Stage.UPDATES)
    updates(context, window)
    context.enter(Stage.MOVE)
    move(context, window)
    context.enter(Stage.FINISH)
    close_window(context, window)
    return late
