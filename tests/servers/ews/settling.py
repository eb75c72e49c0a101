"""What Exchange makes of an item once all of its properties are written; and times as it keeps them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from exchangelib.winzone import MS_TIMEZONE_TO_IANA_MAP

from tests.servers.ews.place import Item, Refusal


def settle(item: Item, before: dict[str, str]) -> None:
    """What Exchange makes of an item's properties once all of them are written."""
    for zone in ("StartTimeZone", "EndTimeZone"):
        found = item.fields.get(zone)
        if found is not None and found.get("Id") not in MS_TIMEZONE_TO_IANA_MAP:
            raise Refusal("ErrorTimeZone", f"The time zone {found.get('Id')} is not known.")
    if item.kind == "CalendarItem":
        _settle_times(item)
    if item.kind == "Task":
        _settle_progress(item, before)
    if item.kind == "Contact" and not item.text("FileAs"):
        pattern = item.text("FileAsMapping")
        names = [item.text("Surname"), item.text("GivenName")]
        joined = ", ".join(n for n in names if n)
        item.put("FileAs", joined if pattern == "LastCommaFirst" and joined else item.text("DisplayName"))


def _settle_times(item: Item) -> None:
    if "Start" not in item.fields or "End" not in item.fields:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        item.put("Start", stamp(now))
        item.put("End", stamp(now + timedelta(minutes=30)))
    start, end = moment(item.text("Start")), moment(item.text("End"))
    if end < start:
        raise Refusal("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate")
    if item.text("IsAllDayEvent").lower() in ("true", "1"):
        zone = _zone(item, "StartTimeZone")
        first = start.astimezone(zone).replace(hour=0, minute=0, second=0)
        last = end.astimezone(zone)
        midnight = last.replace(hour=0, minute=0, second=0)
        if last != midnight or midnight == first:
            midnight = (midnight.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        item.put("Start", stamp(first))
        item.put("End", stamp(midnight))


def _zone(item: Item, field: str) -> ZoneInfo:
    found = item.fields.get(field)
    return ZoneInfo(MS_TIMEZONE_TO_IANA_MAP[found.get("Id")] if found is not None else "UTC")


def _settle_progress(item: Item, before: dict[str, str]) -> None:
    """MS-OXOTASK: status, percent and the date of completion follow one another, whichever was written."""
    for day in ("StartDate", "DueDate"):
        if day in item.fields:
            item.put(day, stamp(moment(item.text(day)).replace(hour=0, minute=0, second=0)))
    status, percent = item.text("Status") or "NotStarted", float(item.text("PercentComplete") or 0)
    status_set = status != before.get("Status", "NotStarted")
    percent_set = percent != float(before.get("PercentComplete") or 0)
    if status == "Completed" and (status_set or not percent_set or percent == 100):
        percent = 100.0
    elif percent == 100 and (percent_set or not status_set):
        status = "Completed"
    elif status == "Completed":
        status = "InProgress" if percent else "NotStarted"
    elif status == "NotStarted" and percent and not status_set:
        status = "InProgress"
    elif percent == 100:
        percent = 0.0
    if status == "NotStarted":
        percent = 0.0
    item.put("Status", status)
    item.put("PercentComplete", f"{percent:g}")
    if status != "Completed":
        item.fields.pop("CompleteDate", None)
    elif "CompleteDate" not in item.fields or before.get("Status") != "Completed":
        item.put("CompleteDate", stamp(datetime.now(UTC)))


def moment(text: str) -> datetime:
    """xs:dateTime. Raises Refusal for what is none; one without offset is in UTC, which every client here asks for."""
    try:
        if "T" not in text:
            raise ValueError
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("ErrorInvalidRequest", f"{text} is no dateTime") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def stamp(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}Z"


def stamp_of(count: int) -> str:
    """A moment of its own for each thing that the server has counted."""
    return stamp(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=count))
