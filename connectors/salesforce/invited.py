"""Who is invited to an event, as its row tells it. Pure.

Salesforce keeps a record for each of them (EventRelation), which is read with the event, as its child. A change of one
does not change the event's SystemModstamp: so an event's version counts who is invited as well (``mark``).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence

from crmsync.connectors.contract import Value, entry
from crmsync.connectors.salesforce.values import ABSENT, Absent, at

INVITED = "EventRelations"  # the name of the relationship, which stands for a field in the mapping
SELECTED = f"(SELECT RelationId,Status,Relation.Email FROM {INVITED} WHERE IsDeleted = false)"
MARK = "^"

_WORDS: Mapping[str, str] = {"accepted": "Accepted", "declined": "Declined", "tentative": "Maybe"}
_ANSWERS = {theirs.casefold(): ours for ours, theirs in _WORDS.items()}


def is_invited(path: str) -> bool:
    return path.casefold() == INVITED.casefold()


def answer_of(status: object) -> str:
    """The answer that a Status says, as a column has it; empty: none yet."""
    return _ANSWERS.get(str(status or "").casefold(), "")


def status_of(answer: str) -> str:
    return _WORDS.get(answer, "New")


def attendees(row: Mapping[str, object]) -> Value | Absent:
    """Those who have an address: a room has none. No opinion where the list breaks off."""
    found = _relations(row)
    if isinstance(found, Absent):
        return ABSENT
    told = ((at(each, "Relation.Email"), each.get("Status")) for each in found)
    people = {email.strip().lower(): answer_of(status) for email, status in told if isinstance(email, str)}
    return tuple(sorted(entry(name, word) for name, word in people.items() if name)) or None


def mark(row: Mapping[str, object]) -> str:
    """What the version of an event says of those who are invited; empty: nobody is, or the row does not tell."""
    found = _relations(row)
    if isinstance(found, Absent) or not found:
        return ""
    told = repr(sorted((str(each.get("RelationId")), str(each.get("Status"))) for each in found))
    return MARK + urlsafe_b64encode(hashlib.sha256(told.encode()).digest()[:6]).decode()


def _relations(row: Mapping[str, object]) -> Sequence[Mapping[str, object]] | Absent:
    given = at(row, INVITED)
    if given is None:
        return ()
    if not isinstance(given, Mapping) or given.get("done") is not True:
        return ABSENT
    records = given.get("records")
    return [r for r in records if isinstance(r, Mapping)] if isinstance(records, list) else ABSENT
