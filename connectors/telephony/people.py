"""Whom a number belongs to, and what is known of them: what a screen pop shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

MOST = 5  # people with one number that are offered


@dataclass(frozen=True, slots=True)
class Line:
    """Something that has to do with somebody: a case, a task, a mail."""

    id: str
    what: str  # case, task, event, mail
    text: str
    at: str = ""  # day, as ISO has it
    detail: str = ""  # of a case: nature and priority; of a task: its status


@dataclass(frozen=True, slots=True)
class Person:
    id: str  # of the CRM record
    kind: str  # contact, lead
    name: str
    title: str = ""
    company: str = ""
    location: str = ""
    account: str = ""  # id of the company's record
    cases: Sequence[Line] = field(default=())  # that are open
    incidents: Sequence[Line] = field(default=())  # cases that were closed, the last ones first
    open: Sequence[Line] = field(default=())  # tasks and events to come
    past: Sequence[Line] = field(default=())  # calls, mails and meetings, the last ones first


@runtime_checkable
class Acquainted(Protocol):
    """CRM sources that know people by their numbers."""

    def people(self, number: str, user: str) -> Sequence[Person]:
        """Contacts and leads with this number that ``user`` may see, and what the user may see of their cases and
        activities. Raises ConnectorError."""


@runtime_checkable
class Remembering(Protocol):
    """CRM sources of which a copy stands on this machine."""

    def people_here(self, number: str, username: str) -> Sequence[Person]:
        """As ``people``, by the copy alone: what is known here to be this user's to see, and nothing else. Raises
        ConnectorError, and what the database of the copy raises."""
