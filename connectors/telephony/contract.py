"""The vocabulary of telephony: every word that the daemon and the telephone systems share.

Theory of operation
-------------------
A **switch** is a connection to a telephone system: a programme on the person's machine, or an exchange that serves many
people. It tells **events** of calls, and carries out **actions**. What an event means for a call is worked out in one
place (``call.advanced``), so a switch only has to say what happened, in the order in which it happened.

A call has an **id**, by which the switch is told what to do with it, and a **key**, which is the same for everybody
who takes part and for ever (SIP's Call-ID, Asterisk's Linkedid): however often a call is told of, it is one call.

Events carry the time at which they were heard: not every system tells one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Cause(StrEnum):
    """Why a call ended."""

    NORMAL = "normal"  # one of the two hung up, or the caller gave up
    BUSY = "busy"
    REJECTED = "rejected"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"  # no such number, or its telephone is switched off
    ELSEWHERE = "elsewhere"  # another telephone has taken it
    FAILED = "failed"
    LOST = "lost"  # it was over when we could ask again: nobody heard how it ended


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Offered:
    """There is a call: somebody calls, or is being called."""

    call: str  # the id
    key: str
    direction: Direction
    number: str  # of the other party, as the system gives it: a number, or the user of a SIP address
    at: datetime
    name: str = ""  # what the other party calls itself: hostile input
    extension: str = ""  # of our own party; empty: the switch's only one


@dataclass(frozen=True, slots=True)
class Ringing:
    call: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    call: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    call: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Resumed:
    call: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Transferred:
    """The other party was passed on; for our own the call ends soon."""

    call: str
    to: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    call: str
    cause: Cause
    at: datetime


Event: TypeAlias = Offered | Ringing | Answered | Held | Resumed | Transferred | Ended


# ── Actions ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Dial:
    number: str  # E.164, or an extension
    extension: str = ""  # whose telephone is to dial; empty: the switch's only one


@dataclass(frozen=True, slots=True)
class Answer:
    call: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """A call that rings here is rejected by it."""

    call: str


@dataclass(frozen=True, slots=True)
class Hold:
    call: str


@dataclass(frozen=True, slots=True)
class Resume:
    call: str


@dataclass(frozen=True, slots=True)
class Transfer:
    call: str
    to: str  # E.164, or an extension


Action: TypeAlias = Dial | Answer | HangUp | Hold | Resume | Transfer


# ── Switches ─────────────────────────────────────────────────────────────────────────────────────────────────


class Switch(Protocol):
    """A connection to one telephone system. ``events`` is read in one thread, ``act`` may be called from any."""

    @property
    def actions(self) -> frozenset[type]:
        """What it can be told to do."""

    def events(self, going: Sequence[str], stopped: Callable[[], bool]) -> Iterator[Event | None]:
        """What happens, as it happens, from one connection on; None first of all, and whenever nothing has happened for
        a while. ``going``: ids of the calls that went on when we last heard of them; those that have ended since
        are told of first. Ends soon after ``stopped`` is true. Raises ConnectorError, also when another programme
        has taken the connection over."""

    def act(self, action: Action) -> None:
        """Returns once the system has taken it; what comes of it is an event. Raises ConnectorError."""

    def close(self) -> None: ...
