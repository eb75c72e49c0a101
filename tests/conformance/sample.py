"""Column values: the least that an item needs, one full item of each kind, and any (hypothesis)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Value

TITLES: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONTACT: ("last_name",),
    Kind.APPOINTMENT: ("subject",),
    Kind.TASK: ("subject",),
    Kind.EMAIL: ("subject", "regarding"),  # nobody can change the subject of a message that was sent
}
NAMES = frozenset({"regarding"})  # they name another record: a side that lacks it cannot hold the name

_NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)

LEAST: Mapping[Kind, Columns] = {
    Kind.CONTACT: {"first_name": "Ada", "last_name": "Lovelace"},
    Kind.APPOINTMENT: {
        "subject": "Budget",
        "start": _NINE,
        "end": _NINE + timedelta(hours=1),
        "all_day": False,
        "time_zone": None,
    },
    Kind.TASK: {"subject": "Call back"},
    Kind.EMAIL: {"subject": "Offer"},
}

WORDS: Mapping[str, tuple[str, ...]] = {
    "show_as": ("free", "busy", "tentative", "out_of_office"),
    "sensitivity": ("public", "private", "confidential"),
    "priority": ("high", "normal", "low"),
    "activity": ("phone_call", "letter", "fax"),
    "direction": ("inbound", "outbound", "internal"),
}
_STATUS: Mapping[Kind, tuple[str, ...]] = {
    Kind.APPOINTMENT: ("confirmed", "tentative", "cancelled"),
    Kind.EMAIL: ("completed", "in_progress"),
}

# What breaks formats: separators and escapes of vCard, iCalendar, JSON, XML, SQL and SOQL; long lines to be folded in
# the middle of a character; two spellings of one letter; writing from right to left; invisible characters.
HOSTILE = (
    "a,b;c:d\\n\\,\\;\\\\",
    "\"quoted\" 'single' ''twice''",
    "<b>&amp;&#x0;</b>]]><!--",
    "O'Brien\\' OR 1=1 --; DROP TABLE x",
    "Zoë Müller-Ångström ß",
    "e\u0301 é Å Å",
    "田中 太郎 " * 12,
    "👩‍👩‍👧‍👦🏳️‍🌈" * 9,
    "\u202eabc\u202c العربية",
    "END:VCARD END:VCALENDAR",
    "=?utf-8?q?x?= %0d%0a %s {0} ${x}",
    "null",
    "0",
    "x" * 75,
    "y" * 300,
    "tab\there",
    "\u200bzero\u200bwidth\ufeff",
)
HOSTILE_LONG = (
    *HOSTILE,
    "one\ntwo\n\nfour",
    "\nBEGIN:VCARD\nEND:VCARD\nEND:VCALENDAR",
    "carriage\r\nreturn\rhere",
    "  indented\n\ttabbed \n trailing ",
    "\\n is not \n",
    "z" * 20_000,
)
# What some formats have no way to write at all: it may be refused or stripped, but nothing else may break.
UNSTORABLE = ("nul\x00here", "bell\x07", "half \ud83d a pair", "\ufffe\uffff")

_plain = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")),
    min_size=1,
    max_size=40,
)
_days = st.dates(date(1905, 1, 1), date(2095, 12, 31))
_moments = st.datetimes(datetime(1995, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)).map(
    lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000)
)
_word = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_VALUES: Mapping[Type, st.SearchStrategy[Value]] = {
    Type.TEXT: _plain | st.sampled_from(HOSTILE),
    Type.LONG: st.lists(_plain, max_size=4).map("\n".join) | st.sampled_from(HOSTILE_LONG[:-1]),
    Type.EMAIL: st.builds("{}@{}.example.com".format, _word, _word),
    Type.PHONE: st.builds("+49 {} {}".format, st.integers(30, 999), st.integers(10_000, 99_999_999)),
    Type.URL: st.builds("https://{}.example.com/{}?a=b,c;d&e=%20#f".format, _word, _word),
    Type.DATE: _days,
    Type.MOMENT: _moments | _days,
    Type.FLAG: st.booleans(),
    Type.NUMBER: st.integers(0, 100),
    Type.LIST: st.lists(_plain, max_size=4).map(lambda words: tuple(sorted(set(words)))),
}
_members = st.builds(
    "{}@example.com{}".format, _word, st.sampled_from(("", " accepted", " declined", " tentative"))
)
_MEMBERS = st.lists(_members, max_size=4, unique_by=lambda each: each.partition(" ")[0]).map(
    lambda some: tuple(sorted(some))
)
_ZONES = (None, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC")


def any_columns(kind: Kind, held: frozenset[str]) -> st.SearchStrategy[dict[str, Value]]:
    """Some of the held columns, with values of their types; columns of a group fit together and come together."""
    drawn = held.difference(TITLES[kind], NAMES)
    alone = {
        n: _MEMBERS if c.each else _value(kind, n, c.type)
        for n, c in COLUMNS[kind].items()
        if n in drawn and not c.group
    }
    some = st.fixed_dictionaries({}, optional=alone)
    return st.builds(lambda a, b: {**a, **_only(b, held)}, some, _GROUPS[kind])


def full(kind: Kind, held: frozenset[str]) -> Columns:
    """A value in every held column: the same ones each time."""
    return _only(_FULL[kind], held)


def _only(columns: Columns, held: frozenset[str]) -> dict[str, Value]:
    return {n: v for n, v in columns.items() if n in held}


def _value(kind: Kind, name: str, type: Type) -> st.SearchStrategy[Value]:
    words: tuple[str, ...] = WORDS.get(name, _STATUS.get(kind, ()) if name == "status" else ())
    return st.none() | (st.sampled_from(words) if words else _VALUES[type])


def _timed(start: datetime, minutes: int, zone: str | None) -> Columns:
    return {
        "start": start,
        "end": start + timedelta(minutes=minutes),
        "all_day": False,
        "time_zone": zone,
    }


def _whole_days(start: date, days: int) -> Columns:
    return {"start": start, "end": start + timedelta(days=days), "all_day": True, "time_zone": None}


def _repeated(when: Columns, weeks: list[int], rule: str) -> Columns:
    """A weekly series: of three weeks one is left out, and one is held elsewhere."""
    start = when["start"]
    if not weeks:
        return {**when, "recurrence": None, "exceptions": None}
    assert isinstance(start, date)
    zone = when["time_zone"]
    begins = (
        start.astimezone(ZoneInfo(zone)) if isinstance(start, datetime) and isinstance(zone, str) else start
    )
    days = [f"{begins + timedelta(days=7 * week):%Y%m%d}" for week in weeks]
    return {
        **when,
        "recurrence": f"RRULE:{rule}\nEXDATE:{days[0]}",
        "exceptions": "\n".join(f'{{"date": "{day}", "location": "Elsewhere {day}"}}' for day in days[1:])
        or None,
    }


def _progress(percent: int, at: datetime, word: str) -> Columns:
    done = percent == 100
    status = "completed" if done else "not_started" if percent == 0 else word
    return {"status": status, "percent_complete": percent, "completed_at": at if done else None}


_GROUPS: Mapping[Kind, st.SearchStrategy[Columns]] = {
    Kind.CONTACT: st.just({}),
    Kind.EMAIL: st.just({}),
    Kind.APPOINTMENT: st.builds(
        _repeated,
        st.builds(_timed, _moments, st.integers(0, 20_000), st.sampled_from(_ZONES))
        | st.builds(_whole_days, _days, st.integers(1, 14)),
        st.lists(st.integers(1, 9), max_size=3, unique=True).map(sorted),
        st.sampled_from(("FREQ=WEEKLY", "FREQ=WEEKLY;COUNT=12", "FREQ=DAILY;INTERVAL=7")),
    ),
    Kind.TASK: st.just({})
    | st.builds(
        _progress,
        st.sampled_from((0, 1, 50, 99, 100)),
        _moments,
        st.sampled_from(("in_progress", "waiting", "deferred", "cancelled")),
    ),
}

_FULL: Mapping[Kind, Columns] = {
    Kind.CONTACT: {
        **{n: f"Some {n}" for n, c in COLUMNS[Kind.CONTACT].items() if c.type in (Type.TEXT, Type.LONG)},
        "address_work_street": "Hauptstraße 5\n2. Stock",
        "address_work_postal_code": "10115",
        "address_home_postal_code": "SW1A 2AA",
        "prefix": "Dr.",
        "suffix": "Jr.",
        "email": "ada@example.com",
        "email_2": "ada@home.example.com",
        "email_3": "ada@club.example.com",
        "phone_work": "+49 30 1234567",
        "phone_mobile": "+49 171 1234567",
        "phone_home": "+49 30 7654321",
        "phone_fax": "+49 30 1111111",
        "phone_other": "+49 30 2222222",
        "website": "https://ada.example.com/",
        "birthday": date(1985, 12, 10),
        "anniversary": date(2010, 7, 8),
        "notes": "first line\nsecond line",
        "categories": ("Friends", "VIP"),
    },
    Kind.APPOINTMENT: {
        **_repeated(_timed(_NINE, 90, "Europe/Berlin"), [1, 2], "FREQ=WEEKLY"),
        "subject": "Budget",
        "location": "Room 5, upstairs",
        "description": "Bring:\n- numbers\n- coffee",
        "show_as": "busy",
        "status": "confirmed",
        "sensitivity": "public",
        "attendees": ("ada@example.com accepted", "bob@example.com"),
        "categories": ("Money",),
    },
    Kind.TASK: {
        "subject": "Call back",
        "description": "About:\nthe offer",
        "start": date(2026, 3, 2),
        "due": date(2026, 3, 9),
        "status": "in_progress",
        "percent_complete": 40,
        "completed_at": None,
        "priority": "high",
        "activity": "letter",
        "sensitivity": "public",
        "categories": ("Calls",),
    },
    Kind.EMAIL: {
        "subject": "Offer",
        "body_text": "Dear Ada,\nhere it is.",
        "status": "in_progress",
        "categories": ("Money",),
    },
}
