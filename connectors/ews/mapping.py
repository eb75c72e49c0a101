"""Contacts, appointments and tasks: Exchange's properties and the columns behind them, one row each, both ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.item import format_stamp, parse_stamp
from crmsync.connectors.dav.values import Absent
from crmsync.connectors.ews import names, progress, reminder, when
from crmsync.connectors.ews.people import PEOPLE, Attendees, Organizer
from crmsync.connectors.ews.properties import (
    AGREED,
    KEY,
    LINK,
    PREFIX,
    SEARCH_KEY,
    Properties,
    Property,
    moment,
    text,
)
from crmsync.connectors.ews.rows import (
    Activity,
    Body,
    Choice,
    Day,
    Row,
    Rows,
    TaskWords,
    Text,
    Words,
    among,
    category,
    project_rows,
    read_rows,
    with_activity,
    write_rows,
)


def _address(kind: str, of: str) -> dict[str, Row]:
    base = f"PhysicalAddresses/{of}/"
    return {
        f"address_{kind}_street": Text(base + "Street", Type.LONG),
        f"address_{kind}_city": Text(base + "City"),
        f"address_{kind}_region": Text(base + "State"),
        f"address_{kind}_postal_code": Text(base + "PostalCode"),
        f"address_{kind}_country": Text(base + "CountryOrRegion"),
    }


_SENSITIVITY = Choice(
    "Sensitivity",
    {"public": "Normal", "private": "Private", "confidential": "Confidential"},
    default="public",
    unknown="private",  # "Personal"
)
_PEOPLE: Rows = {"organizer": Organizer(), "attendees": Attendees()}
_COMMON: Rows = {"categories": Words("Categories")}
_ROWS: Mapping[Kind, Rows] = {
    Kind.CONTACT: {
        **_COMMON,
        "prefix": Text(PREFIX),
        "first_name": Text("GivenName"),
        "middle_name": Text("MiddleName"),
        "last_name": Text("Surname"),
        "suffix": Text("Generation"),
        "nickname": Text("Nickname"),
        "company": Text("CompanyName"),
        "department": Text("Department"),
        "job_title": Text("JobTitle"),
        "email": Text("EmailAddresses/EmailAddress1", Type.EMAIL),
        "email_2": Text("EmailAddresses/EmailAddress2", Type.EMAIL),
        "email_3": Text("EmailAddresses/EmailAddress3", Type.EMAIL),
        "phone_work": Text("PhoneNumbers/BusinessPhone", Type.PHONE),
        "phone_mobile": Text("PhoneNumbers/MobilePhone", Type.PHONE),
        "phone_home": Text("PhoneNumbers/HomePhone", Type.PHONE),
        "phone_fax": Text("PhoneNumbers/BusinessFax", Type.PHONE),
        "phone_other": Text("PhoneNumbers/OtherTelephone", Type.PHONE),
        **_address("work", "Business"),
        **_address("home", "Home"),
        "website": Text("BusinessHomePage", Type.URL, 2_000),
        "birthday": Day("Birthday", noon=True),
        "anniversary": Day("WeddingAnniversary", noon=True),
        "notes": Body("Body"),
    },
    Kind.APPOINTMENT: {
        **_COMMON,
        "subject": Text("Subject"),
        "location": Text("Location"),
        "description": Body("Body"),
        "sensitivity": _SENSITIVITY,
        "show_as": Choice(
            "LegacyFreeBusyStatus",
            {"free": "Free", "busy": "Busy", "tentative": "Tentative", "out_of_office": "OOF"},
            default="busy",
        ),
        **{n: r for n, r in _PEOPLE.items() if n in COLUMNS[Kind.APPOINTMENT]},
    },
    Kind.TASK: {
        "categories": TaskWords("Categories"),
        "activity": Activity("Categories"),
        "subject": Text("Subject"),
        "description": Body("Body"),
        "sensitivity": _SENSITIVITY,
        "start": Day("StartDate"),
        "due": Day("DueDate"),
        "priority": Choice(
            "Importance", {"high": "High", "normal": "Normal", "low": "Low"}, default="normal"
        ),
    },
}
_GROUPS: Mapping[Kind, frozenset[str]] = {
    Kind.APPOINTMENT: when.WHEN | {"reminder", "attachments"},
    Kind.TASK: progress.PROGRESS | {"reminder"},
}
HOLDS: Mapping[Kind, frozenset[str]] = {
    kind: (frozenset(rows) | _GROUPS.get(kind, frozenset())) & frozenset(COLUMNS[kind])
    for kind, rows in _ROWS.items()
}
READ_ONLY: Mapping[Kind, frozenset[str]] = {
    Kind.APPOINTMENT: HOLDS[Kind.APPOINTMENT] & {*_PEOPLE, "attachments"},
    Kind.TASK: frozenset({"completed_at"}),
}

_ALWAYS = (LINK, AGREED, KEY, SEARCH_KEY, "LastModifiedName", "LastModifiedTime", "Sensitivity")
_MORE: Mapping[Kind, Sequence[str]] = {
    Kind.CONTACT: ("DisplayName", "FileAs"),
    Kind.APPOINTMENT: (
        *when.NEEDS,
        *reminder.NEEDS[Kind.APPOINTMENT],
        *(PEOPLE if "attendees" in HOLDS[Kind.APPOINTMENT] else ()),
        "UID",
        "CalendarItemType",
    ),
    Kind.TASK: (*progress.NEEDS, *reminder.NEEDS[Kind.TASK], "IsRecurring"),
}
NEEDS: Mapping[Kind, tuple[str, ...]] = {  # the properties that ``read`` looks at, and no others
    kind: tuple(dict.fromkeys([*_ALWAYS, *_MORE[kind], *(row.name for row in rows.values())]))
    for kind, rows in _ROWS.items()
}


@dataclass(frozen=True, slots=True)
class Zone:
    """The account's: of dates that stand for moments."""

    rules: tzinfo
    name: str  # IANA


@dataclass(frozen=True, slots=True)
class Item:
    """What a readable item says."""

    uid: str
    columns: Columns
    tags: frozenset[str]
    stamp: Stamp | None
    modified: datetime | None
    untouchable: str
    private: bool
    changed_by: str
    search_key: str


def project(kind: Kind, columns: Columns) -> Columns:
    """``columns`` as they would be read back; what cannot be held is absent."""
    if kind not in _ROWS:
        return {}
    told = project_rows(_ROWS[kind], columns)
    if "reminder" in columns and "reminder" in HOLDS[kind]:
        found = reminder.project_reminder(columns["reminder"])
        told |= {} if isinstance(found, Absent) else {"reminder": found}
    if "attachments" in columns and "attachments" in HOLDS[kind]:
        told["attachments"] = columns["attachments"]
    if kind is Kind.APPOINTMENT:
        return told | when.project_when({n: v for n, v in columns.items() if n in when.WHEN})
    if kind is Kind.TASK:
        return told | progress.project_progress({n: v for n, v in columns.items() if n in progress.PROGRESS})
    return told


def read(kind: Kind, id: str, properties: Properties, zone: Zone) -> Item:
    """Raises Malformed."""
    columns = _columns(kind, properties, zone)
    return Item(
        uid=_uid(kind, properties) or id,
        columns=columns,
        tags=_tags(properties),
        stamp=_stamp(properties),
        modified=moment(properties, "LastModifiedTime"),
        changed_by=text(properties, "LastModifiedName"),
        untouchable=_untouchable(properties),
        private=properties.get("Sensitivity") not in (None, "Normal"),
        search_key=text(properties, SEARCH_KEY),
    )


def _columns(kind: Kind, properties: Properties, zone: Zone) -> dict[str, Value]:
    columns = read_rows(_ROWS[kind], properties, zone.rules)
    if "reminder" in HOLDS[kind]:
        found = reminder.read_reminder(kind, properties)
        columns |= {} if isinstance(found, Absent) else {"reminder": found}
    if kind is Kind.APPOINTMENT:
        return columns | when.read_when(properties, zone.rules)
    return columns | (progress.read_progress(properties) if kind is Kind.TASK else {})


def _uid(kind: Kind, properties: Properties) -> str:
    """Appointments have a UID; other items the key under which we made them, else what Exchange itself searches by,
    which they keep when they are moved."""
    if kind is Kind.APPOINTMENT and text(properties, "UID"):
        return text(properties, "UID")
    return text(properties, KEY) or text(properties, SEARCH_KEY)


def _stamp(properties: Properties) -> Stamp | None:
    stamp = parse_stamp(text(properties, LINK))
    return replace(stamp, agreed=text(properties, AGREED)) if stamp else None


def _tags(properties: Properties) -> frozenset[str]:
    words = properties.get("Categories")
    return frozenset(category(w) for w in words if category(w)) if isinstance(words, tuple) else frozenset()


def _untouchable(properties: Properties) -> str:
    single = properties.get("CalendarItemType") in (None, "Single")
    return "" if single and not properties.get("IsRecurring") else "recurring"


def write(
    kind: Kind,
    standing: Properties | None,
    columns: Columns,
    *,
    zone: Zone,
    tag: str = "",
    stamp: Stamp | None = None,
) -> dict[str, Property]:
    """The properties to set (None: to remove), so that the item shows ``columns``; ``standing`` is None for a new one.
    What stands there already is not written again."""
    now: Properties = standing or {}
    before = _columns(kind, now, zone) if standing is not None else {}
    given = {n: v for n, v in project(kind, columns).items() if n not in READ_ONLY.get(kind, ())}
    wanted = {n: v for n, v in given.items() if (before[n] != v if n in before else v is not None)}
    told = write_rows(_ROWS[kind], wanted, zone.rules)
    if kind is Kind.CONTACT and (standing is None or names.SOURCES & wanted.keys()):
        told |= names.follow(before, {**before, **given}, now)
    if kind is Kind.APPOINTMENT and when.WHEN & wanted.keys():
        group = {n: v for n, v in before.items() if n in when.WHEN}
        of_given = {n: v for n, v in given.items() if n in when.WHEN}
        told |= when.write_when(group, of_given, zone.name)
    if "reminder" in wanted or ("reminder" in given and (standing is None or "Start" in told)):
        start = moment(told, "Start") or moment(now, "Start")  # with which it would move along
        told |= reminder.write_reminder(kind, given["reminder"], start)
    if kind is Kind.TASK and progress.PROGRESS & wanted.keys():
        told |= progress.write_progress(before, {n: v for n, v in given.items() if n in progress.PROGRESS})
    if kind is Kind.TASK and {"activity", "categories"} & wanted.keys():
        told["Categories"] = with_activity(now.get("Categories"), wanted)
    if category(tag) and not among(tag, words := _words(told, now)):
        told["Categories"] = (*words, category(tag))
    if stamp:
        told |= {LINK: format_stamp(stamp), AGREED: stamp.agreed or None}
    return {name: value for name, value in told.items() if now.get(name) != value}


def _words(told: Properties, now: Properties) -> tuple[str, ...]:
    words = told["Categories"] if "Categories" in told else now.get("Categories")
    return words if isinstance(words, tuple) else ()
