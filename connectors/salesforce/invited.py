"""Who is invited to an event, and which files it has, as its row tells it. Pure.

Salesforce keeps a record for each of them (EventRelation, Attachment), which is read with the event, as its child. A
change of one does not change the event's SystemModstamp: so an event's version counts them as well (``mark``).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence

from crmsync.connectors.columns import entry
from crmsync.connectors.contract import Value
from crmsync.connectors.files import told
from crmsync.connectors.salesforce.values import ABSENT, Absent, at

INVITED = "EventRelations"  # the name of the relationship, which stands for a field in the mapping
FILES = "Attachments"
MARK = "^"
_CHILDREN = {
    INVITED.casefold(): f"(SELECT RelationId,Status,Relation.Email FROM {INVITED} WHERE IsDeleted = false)",
    FILES.casefold(): f"(SELECT Name FROM {FILES} WHERE IsDeleted = false)",
}

_WORDS: Mapping[str, str] = {"accepted": "Accepted", "declined": "Declined", "tentative": "Maybe"}
_ANSWERS = {theirs.casefold(): ours for ours, theirs in _WORDS.items()}


def is_invited(path: str) -> bool:
    return path.casefold() == INVITED.casefold()


def is_files(path: str) -> bool:
    return path.casefold() == FILES.casefold()


def selected(path: str) -> str:
    """What a query names for a path of the mapping."""
    return _CHILDREN.get(path.casefold(), path)


def answer_of(status: object) -> str:
    """The answer that a Status says, as a column has it; empty: none yet."""
    return _ANSWERS.get(str(status or "").casefold(), "")


def status_of(answer: str) -> str:
    return _WORDS.get(answer, "New")


def attendees(row: Mapping[str, object]) -> Value | Absent:
    """Those who have an address: a room has none. No opinion where the list breaks off."""
    found = _children(row, INVITED)
    if isinstance(found, Absent):
        return ABSENT
    told = ((at(each, "Relation.Email"), each.get("Status")) for each in found)
    people = {email.strip().lower(): answer_of(status) for email, status in told if isinstance(email, str)}
    return tuple(sorted(entry(name, word) for name, word in people.items() if name)) or None


def attachments(row: Mapping[str, object]) -> Value | Absent:
    """Names of its files; of those that stand for another one, of that."""
    found = _children(row, FILES)
    if isinstance(found, Absent):
        return ABSENT
    return tuple(sorted({told(str(each.get("Name"))) for each in found})) or None


def mark(row: Mapping[str, object]) -> str:
    """What the version of an event says of its people and files; empty: there are none, or the row does not tell."""
    people, files = _children(row, INVITED), _children(row, FILES)
    words = (
        []
        if isinstance(people, Absent)
        else [(str(e.get("RelationId")), str(e.get("Status"))) for e in people]
    )
    words += [] if isinstance(files, Absent) else [("file", str(each.get("Name"))) for each in files]
    if not words:
        return ""
    return MARK + urlsafe_b64encode(hashlib.sha256(repr(sorted(words)).encode()).digest()[:6]).decode()


def _children(row: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]] | Absent:
    given = at(row, name)
    if given is None:
        return ()
    if not isinstance(given, Mapping) or given.get("done") is not True:
        return ABSENT
    records = given.get("records")
    return [r for r in records if isinstance(r, Mapping)] if isinstance(records, list) else ABSENT
