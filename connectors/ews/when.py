"""Start, end, all-day and zone of an appointment: one group, four (in Exchange five) properties."""

from datetime import UTC, date, datetime, timedelta, tzinfo

from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.values import in_utc
from crmsync.connectors.ews.properties import Malformed, Properties, Property, moment, text
from crmsync.connectors.ews.rows import within_bounds
from crmsync.connectors.ews.zones import held, known, midnight, nearest_day, windows

WHEN = frozenset({"start", "end", "all_day", "time_zone"})
NEEDS = ("Start", "End", "IsAllDayEvent", "StartTimeZone")
_ONE_DAY = timedelta(days=1)


def read_when(properties: Properties, zone: tzinfo) -> dict[str, Value]:
    """Raises Malformed. ``zone``: of all-day appointments that do not say theirs."""
    start, end = moment(properties, "Start"), moment(properties, "End")
    if start is None or end is None:
        raise Malformed("it has no start or no end")
    if end < start:
        raise Malformed("it ends before it starts")
    named = known(text(properties, "StartTimeZone"))
    if properties.get("IsAllDayEvent"):
        rules = named.rules if named else zone
        first, last = nearest_day(start, rules), nearest_day(end, rules)
        return {"start": first, "end": max(last, first + _ONE_DAY), "all_day": True, "time_zone": None}
    columns: dict[str, Value] = {"start": in_utc(start), "end": in_utc(end), "all_day": False}
    if named:  # else the zone is not told, or nobody knows it: no opinion
        columns["time_zone"] = named.name
    return columns


def project_when(columns: Columns) -> dict[str, Value]:
    """The columns as they are read back, each as far as it is given. Start and end cannot be emptied."""
    told: dict[str, Value] = {}
    if "time_zone" in columns:
        zone = columns["time_zone"]
        told["time_zone"] = held(zone) if isinstance(zone, str) else None
    if isinstance(columns.get("all_day"), bool):
        told["all_day"] = columns["all_day"]
    for name in ("start", "end"):
        value = columns.get(name)
        if isinstance(value, date) and within_bounds(value):
            told[name] = in_utc(value) if isinstance(value, datetime) else value
    return _agreeing(told)


def _agreeing(told: dict[str, Value]) -> dict[str, Value]:
    """Start and end fit all_day (which follows the start where it is not given), and the end does not come first."""
    start = told.get("start")
    all_day = told.get("all_day", not isinstance(start, datetime) if start else None)
    if not isinstance(all_day, bool):
        return told
    told.update({n: _fitting(v, all_day=all_day) for n, v in told.items() if isinstance(v, date)})
    start, end = told.get("start"), told.get("end")
    if isinstance(start, date) and isinstance(end, date):
        told["end"] = max(end, start + _ONE_DAY if all_day else start)
    if all_day and "time_zone" in told:
        told["time_zone"] = None
    return told


def _fitting(value: date, *, all_day: bool) -> date:
    if all_day:
        return value.date() if isinstance(value, datetime) else value
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)


def write_when(before: Columns, wanted: Columns, zone_name: str) -> dict[str, Property]:
    """``before``: the group as it stands, empty for a new item; ``wanted``: what ``project_when`` has left. The group
    is written as a whole: Exchange reads the times of one without a zone in a zone of its own choice."""
    after = _agreeing({**before, **_with_end(before, wanted)})
    start, end = after.get("start"), after.get("end")
    if not isinstance(start, date) or not isinstance(end, date):
        return {}
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        id = windows(zone_name)
        rules = found.rules if (found := known(id)) else UTC
        times: dict[str, Property] = {"Start": midnight(start, rules), "End": midnight(end, rules)}
        return {**times, "IsAllDayEvent": True, **_zones(id)}
    named = after.get("time_zone", ...)
    zones = _zones(windows(named if isinstance(named, str) else None)) if named is not ... else {}
    return {"Start": start, "End": end, "IsAllDayEvent": False, **zones}


def _zones(id: str) -> dict[str, Property]:
    return {"StartTimeZone": id, "EndTimeZone": id}


def _with_end(before: Columns, wanted: Columns) -> Columns:
    """An end that is not given keeps the length, where the new start has passed it."""
    start, old_start, old_end = wanted.get("start"), before.get("start"), before.get("end")
    if "end" in wanted or not isinstance(start, date):
        return wanted
    if not isinstance(old_start, date) or not isinstance(old_end, date):
        return {**wanted, "end": start}
    same = isinstance(start, datetime) == isinstance(old_end, datetime)
    if same and old_end <= start:
        return {**wanted, "end": start + (old_end - old_start)}
    return wanted if same else {**wanted, "end": start}
