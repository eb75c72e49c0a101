"""What stands in a copy of the CRM, and waits for the CRM itself."""

from crmsync.connectors.abilities import Copying
from crmsync.daemon.cycle.apply import PROVISIONAL
from crmsync.daemon.cycle.context import Context

__all__ = ["take_up"]


def take_up(cx: Context) -> None:
    """It has waited long enough as soon as the CRM is there, whenever it was last looked at."""
    connectors = [place.connector for place in cx.objects.values()]
    if cx.dry or not any(isinstance(c, Copying) and not c.stands_in for c in connectors):
        return
    with cx.state.reading() as tx:
        early = [row.id for row in tx.queue.coded(cx.account.name, PROVISIONAL) if row.next_at > cx.now()]
    if early:
        with cx.state.transaction() as tx:
            tx.queue.bring_forward(early, cx.now())
