"""Updates of the CRM that may yet arrive, when nobody wants them any more: a copy that stands before the CRM has them,
or a line that is slower than we are patient.

What the CRM shows says nothing of them. So where the merge decides otherwise by now, the value that the CRM has is
written once more: in a copy it replaces what waits there, and at the CRM itself the version that the late write was
computed from is gone. Until such a write is announced, the old intent stays open."""

from collections.abc import Sequence

from crmsync.connectors.contract import Columns, Record, Side
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Action, Intent
from crmsync.state.values import decode_columns


def underway(cx: Context, work: Work, intents: Sequence[Intent]) -> list[Intent]:
    """Those of the pair's intents that may yet arrive: the CRM does not show what they wrote."""
    if not isinstance(work.crm, Record) or not isinstance(work.ecs, Record) or not work.access.edit:
        return []
    return [i for i in intents if (i.side, i.action) == (Side.CRM, Action.UPDATE) and _differs(cx, work, i)]


def withdrawals(work: Work, going: Columns) -> Columns:
    """What the CRM shows of the columns that are under way and not among those that are ``going`` there now."""
    shown = work.record(Side.CRM).columns
    sent = {n for i in work.underway for n in decode_columns(work.pair.kind, i.columns)}
    return {n: shown[n] for n in sorted(sent) if n in shown and n not in going}


def _differs(cx: Context, work: Work, intent: Intent) -> bool:
    place = cx.objects[work.pair.crm_collection]
    now = work.record(Side.CRM).columns
    shown = place.connector.project(work.pair.kind, decode_columns(work.pair.kind, intent.columns))
    return any(n in now and not same(now[n], v) for n, v in shown.items())
