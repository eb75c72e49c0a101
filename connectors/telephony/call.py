"""One call, from its first event to its last. Pure: events in, a call out."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from crmsync.connectors.telephony.contract import (
    Answered,
    Cause,
    Direction,
    Ended,
    Event,
    Held,
    Offered,
    Resumed,
    Ringing,
    Transferred,
)
from crmsync.connectors.telephony.numbers import clean, e164, is_extension

LONGEST_NAME = 120  # characters


class Phase(StrEnum):
    OFFERED = "offered"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


class Disposition(StrEnum):
    ANSWERED = "answered"
    MISSED = "missed"
    BUSY = "busy"
    REJECTED = "rejected"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    id: str
    key: str
    direction: Direction
    number: str  # of the other party: E.164, or as it is told
    name: str = ""
    extension: str = ""
    phase: Phase = Phase.OFFERED
    started: datetime
    answered: datetime | None = None
    ended: datetime | None = None
    transferred: str = ""  # to whom
    cause: Cause | None = None

    @property
    def over(self) -> bool:
        return self.phase is Phase.ENDED

    @property
    def internal(self) -> bool:
        """Between two extensions of the house."""
        return is_extension(self.number)

    @property
    def duration(self) -> int:
        """Seconds of talking, of a call that is over."""
        if self.answered is None or self.ended is None:
            return 0
        return max(0, round((self.ended - self.answered).total_seconds()))

    @property
    def disposition(self) -> Disposition:
        """What came of it, of a call that is over."""
        if self.answered is not None:
            return Disposition.ANSWERED
        if self.direction is Direction.INBOUND or self.cause is None:
            return Disposition.REJECTED if self.cause is Cause.REJECTED else Disposition.MISSED
        return _OUTBOUND.get(self.cause, Disposition.FAILED)


_OUTBOUND = {
    Cause.NORMAL: Disposition.NO_ANSWER,
    Cause.NO_ANSWER: Disposition.NO_ANSWER,
    Cause.BUSY: Disposition.BUSY,
    Cause.REJECTED: Disposition.REJECTED,
    Cause.UNREACHABLE: Disposition.UNREACHABLE,
    Cause.LOST: Disposition.NO_ANSWER,
}


def advanced(call: Call | None, event: Event, region: str | None = None) -> Call | None:
    """The call after the event; None where there is none: of what was never offered nothing can be said. Told twice is
    told once, and a call that is over stays so."""
    if isinstance(event, Offered):
        return call or _begun(event, region)
    if call is None or (
        call.over and not isinstance(event, Transferred)
    ):  # who passes a call on is out of it at once
        return call
    match event:
        case Ringing():
            return replace(call, phase=Phase.RINGING) if call.phase is Phase.OFFERED else call
        case Answered(at=at):
            return replace(call, phase=Phase.TALKING, answered=call.answered or at)
        case Held():
            return replace(call, phase=Phase.HELD) if call.answered else call
        case Resumed():
            return replace(call, phase=Phase.TALKING) if call.answered else call
        case Transferred(to=to):
            return replace(call, transferred=e164(to, region))
        case Ended(cause=cause, at=at):
            return replace(call, phase=Phase.ENDED, ended=max(at, call.answered or call.started), cause=cause)
        case _:
            assert_never(event)


def _begun(event: Offered, region: str | None) -> Call:
    return Call(
        id=event.call,
        key=event.key,
        direction=event.direction,
        number=e164(event.number, region),
        name=clean(event.name, LONGEST_NAME),
        extension=event.extension,
        started=event.at,
    )
