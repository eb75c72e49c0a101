"""Which columns there are, of each kind of item: canonical name, type, and what wins or loses together with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from crmsync.connectors.contract import Kind


class Type(StrEnum):
    TEXT = "text"  # one line
    LONG = "long"  # lines separated by "\n"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    DATE = "date"  # datetime.date
    MOMENT = "moment"  # aware datetime in UTC; or a date, where all_day is true
    FLAG = "flag"  # bool
    NUMBER = "number"  # int
    LIST = "list"  # tuple of str, sorted, no duplicates


@dataclass(frozen=True, slots=True)
class Column:
    type: Type = Type.TEXT
    group: str = ""  # columns with the same group mean something only together: they win or lose as one
    each: bool = False  # a list of members, "<name>" or "<name> <word>", each of which is merged by itself


_NAME = ("prefix", "first_name", "middle_name", "last_name", "suffix", "nickname")
_JOB = ("company", "department", "job_title")
_ADDRESS = ("street", "city", "region", "postal_code", "country")
_WHEN = "when"
_PROGRESS = "progress"


COLUMNS: Mapping[Kind, Mapping[str, Column]] = {
    Kind.CONTACT: {
        **{n: Column() for n in (*_NAME, *_JOB)},
        **{n: Column(Type.EMAIL) for n in ("email", "email_2", "email_3")},  # the preferred one first
        **{
            n: Column(Type.PHONE)
            for n in ("phone_work", "phone_mobile", "phone_home", "phone_fax", "phone_other")
        },
        **{f"address_work_{n}": Column(Type.LONG if n == "street" else Type.TEXT) for n in _ADDRESS},
        **{f"address_home_{n}": Column(Type.LONG if n == "street" else Type.TEXT) for n in _ADDRESS},
        "website": Column(Type.URL),
        "birthday": Column(Type.DATE),
        "anniversary": Column(Type.DATE),
        "notes": Column(Type.LONG),
        "categories": Column(Type.LIST),
    },
    Kind.APPOINTMENT: {
        "subject": Column(),
        "location": Column(),
        "description": Column(Type.LONG),
        "start": Column(Type.MOMENT, _WHEN),
        "end": Column(Type.MOMENT, _WHEN),  # exclusive (RFC 5545 3.6.1); all-day: the day after the last
        "all_day": Column(Type.FLAG, _WHEN),
        "time_zone": Column(Type.TEXT, _WHEN),  # IANA name; None: UTC
        # of a whole series, where the CRM has fields for it; the texts are those of ``series/written.py``
        "recurrence": Column(Type.LONG, _WHEN),
        "exceptions": Column(Type.LONG, _WHEN),
        "show_as": Column(),  # free, busy, tentative, out_of_office
        "status": Column(),  # confirmed, tentative, cancelled
        "sensitivity": Column(),  # public, private, confidential
        "reminder": Column(Type.MOMENT),  # when the person is reminded
        "organizer": Column(Type.EMAIL),  # who has called the meeting; in lower case
        # addresses in lower case, with the answer where there is one: accepted, declined, tentative
        "attendees": Column(Type.LIST, each=True),
        "attachments": Column(Type.LIST, each=True),  # their names
        "categories": Column(Type.LIST),
    },
    Kind.TASK: {
        "subject": Column(),
        "description": Column(Type.LONG),
        "start": Column(Type.MOMENT),
        "due": Column(Type.MOMENT),
        # not_started, in_progress, completed, waiting, deferred, cancelled
        "status": Column(Type.TEXT, _PROGRESS),
        "percent_complete": Column(Type.NUMBER, _PROGRESS),  # 0 to 100
        "completed_at": Column(Type.MOMENT, _PROGRESS),
        "priority": Column(),  # high, normal, low
        "activity": Column(),  # phone_call, letter, fax: what it stands for; None: a task and no more
        # of what stands for a phone call
        "direction": Column(),  # inbound, outbound, internal
        "number": Column(Type.PHONE),  # of the other party: E.164, or an extension
        "parties": Column(Type.LIST),  # everybody's numbers
        "started_at": Column(Type.MOMENT),
        "duration": Column(Type.NUMBER),  # seconds of talking
        "disposition": Column(),  # what came of it, in words: Answered, Missed, Busy, …
        "call_id": Column(),  # the same for everybody who takes part: SIP's Call-ID, Asterisk's Linkedid
        "regarding": Column(),  # id of the CRM record that it is about, where a person has chosen one
        "sensitivity": Column(),
        "reminder": Column(Type.MOMENT),
        "categories": Column(Type.LIST),
    },
    Kind.EMAIL: {
        "subject": Column(),
        "body_text": Column(Type.LONG),  # what is plain in it, or plain of what is rich
        "body_html": Column(Type.LONG),  # sanitised: nothing in it runs, or is fetched from anywhere
        "from": Column(Type.EMAIL),  # addresses alone, in lower case
        "to": Column(Type.LIST),
        "cc": Column(Type.LIST),
        "sent_at": Column(Type.MOMENT),
        "message_id": Column(),  # without angle brackets
        "thread": Column(),  # message id of the first message of the conversation
        "direction": Column(),  # incoming, outgoing
        "attachments": Column(Type.LIST),  # their names
        "status": Column(),  # as of a task; completed: nothing is left to do about it
        "regarding": Column(),  # name of the account, opportunity or case that it is about
        "categories": Column(Type.LIST),
    },
}


ANSWERS = frozenset({"accepted", "declined", "tentative"})  # to an invitation


def member(entry: str) -> tuple[str, str]:
    """Name and word of one entry of a list whose members are merged each by itself (``Column.each``)."""
    name, _, word = entry.strip().rpartition(" ")
    return (name.strip(), word) if name and word in ANSWERS else (entry.strip(), "")


def entry(name: str, word: str) -> str:
    return f"{name} {word}" if word else name


def with_group(kind: Kind, names: frozenset[str]) -> frozenset[str]:
    """``names`` and every column that wins or loses together with one of them."""
    groups = {COLUMNS[kind][n].group for n in names if n in COLUMNS[kind]} - {""}
    return names | {n for n, c in COLUMNS[kind].items() if c.group in groups}
