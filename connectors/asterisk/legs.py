"""Whose calls they are, out of the channels of an exchange. Pure but for what it remembers.

An exchange tells of channels: one for each telephone and line that takes part, and helpers of its own (``Local/…``). A
person's call is a **leg**: the channel with which the exchange rings their telephone, or from which they have dialled.
It is over when that channel is; a helper may go earlier, so a leg that began as one lasts as long as anything of the
call.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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

MOST = 5_000  # channels that are remembered
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,20}/([^@/]+?)(?:-[0-9a-f]+)?(?:;[12])?(?:@.*)?")
_UNKNOWN = frozenset({"", "<unknown>", "unknown", "anonymous", "s"})


@dataclass(frozen=True, slots=True)
class Channel:
    id: str  # Uniqueid
    name: str  # PJSIP/101-0000002a
    number: str = ""  # what the exchange calls it by
    caller: str = ""  # its name, as it presents itself

    @property
    def extension(self) -> str:
        found = _EXTENSION.fullmatch(self.name)
        return found[1] if found else ""

    @property
    def helper(self) -> bool:
        return self.name.startswith("Local/")


def known(text: str) -> str:
    return "" if text.strip().lower() in _UNKNOWN else text.strip()


_DIALLED = {  # DialStatus
    "BUSY": Cause.BUSY,
    "NOANSWER": Cause.NO_ANSWER,
    "CANCEL": Cause.NORMAL,
    "CONGESTION": Cause.FAILED,
    "CHANUNAVAIL": Cause.UNREACHABLE,
}
_CAUSES = {  # Q.850
    1: Cause.UNREACHABLE,
    3: Cause.UNREACHABLE,
    16: Cause.NORMAL,
    17: Cause.BUSY,
    18: Cause.NO_ANSWER,
    19: Cause.NO_ANSWER,
    20: Cause.UNREACHABLE,
    21: Cause.REJECTED,
    26: Cause.ELSEWHERE,
    28: Cause.UNREACHABLE,
    32: Cause.NORMAL,  # of a channel that a programme has hung up
}


@dataclass(slots=True)
class Leg:
    id: str
    ours: Channel
    other: Channel | None
    direction: Direction
    answered: bool = False
    cause: Cause | None = None  # what the dialling came to


@dataclass(slots=True)
class Legs:
    """``extensions``: whose calls are told of."""

    extensions: frozenset[str]
    _legs: dict[str, Leg] = field(default_factory=dict)  # by id
    _channels: dict[str, set[str]] = field(default_factory=dict)  # call -> ids of its channels

    def get(self, id: str) -> Leg | None:
        return self._legs.get(id)

    def there(self, linked: str, channel: str) -> None:
        """A channel of this call."""
        if linked and channel:
            self._channels.setdefault(linked, set()).add(channel)
            while len(self._channels) > MOST:
                self._channels.pop(next(iter(self._channels)))

    def take_up(self, id: str, channels: Sequence[Channel]) -> bool:
        """Whether a call of before goes on, by the channels that it has now. After a restart nothing is known of it but
        its id; whoever is not listened to then would talk for ever."""
        linked, _, extension = id.rpartition("/")
        leg = self._legs.get(id)
        if leg is None:
            # the telephone itself, if it is there already
            likely = sorted(channels, key=lambda each: each.helper)
            ours = next((each for each in likely if each.extension == extension), None)
            if ours is None:
                return False
            other = next((each for each in channels if each is not ours), None)
            # a call is called after its first channel: that of whoever has dialled
            direction = Direction.OUTBOUND if ours.id == linked else Direction.INBOUND
            self._legs[id] = Leg(id, ours, other, direction)
            return True
        there = {each.id for each in channels}
        if leg.ours.id in there or (leg.ours.helper and there):
            return True
        del self._legs[id]
        return False

    def dialling(
        self, linked: str, caller: Channel | None, called: Channel, number: str, at: datetime
    ) -> Iterator[Event]:
        """``caller`` has ``called`` rung; ``number``: what it was called by."""
        self.there(linked, called.id)
        if caller is None:
            return  # by a programme: our own, who rings a telephone that is to dial next
        self.there(linked, caller.id)
        mine = "" if caller.helper else caller.extension  # a helper is called by what it leads to
        if called.extension in self.extensions and mine != called.extension:
            yield from self._begun(
                linked, called, caller, Direction.INBOUND, caller.number, caller.caller, at
            )
        if mine in self.extensions and mine != called.extension:
            inside = called.extension if called.extension in self.extensions else ""
            yield from self._begun(linked, caller, called, Direction.OUTBOUND, inside or number, "", at)

    def _begun(
        self,
        linked: str,
        ours: Channel,
        other: Channel,
        direction: Direction,
        number: str,
        name: str,
        at: datetime,
    ) -> Iterator[Event]:
        id = f"{linked}/{ours.extension}"
        leg = self._legs.get(id)
        if leg is not None:
            leg.ours = ours if not leg.answered else leg.ours
            return
        while len(self._legs) >= MOST:
            del self._legs[next(iter(self._legs))]
        self._legs[id] = Leg(id, ours, other, direction)
        yield Offered(id, linked, direction, known(number), at, known(name), ours.extension)
        yield Ringing(id, at)

    def dialled(self, linked: str, called: str, status: str, at: datetime) -> Iterator[Event]:
        """``called``: id of the channel; ``status``: what it came to."""
        for leg in self._of(linked):
            inbound = leg.direction is Direction.INBOUND
            if called != (leg.ours.id if inbound else leg.other.id if leg.other else ""):
                continue
            if status == "ANSWER":
                leg.answered = True
                yield Answered(leg.id, at)
            elif not leg.answered and status:
                leg.cause = _DIALLED.get(status, Cause.FAILED)
                if inbound:
                    elsewhere = any(other.answered for other in self._of(linked) if other is not leg)
                    yield from self._ended(leg, Cause.ELSEWHERE if elsewhere else leg.cause, at)

    def hung_up(self, linked: str, channel: str, cause: int, at: datetime) -> Iterator[Event]:
        left = self._channels.get(linked, set())
        left.discard(channel)
        for leg in self._of(linked):
            if (channel == leg.ours.id and not leg.ours.helper) or not left:
                told = leg.cause if not leg.answered else None
                yield from self._ended(leg, told or _CAUSES.get(cause, Cause.FAILED), at)
        if not left:
            self._channels.pop(linked, None)

    def _ended(self, leg: Leg, cause: Cause, at: datetime) -> Iterator[Event]:
        if self._legs.pop(leg.id, None) is not None:
            yield Ended(leg.id, cause, at)

    def held(self, channel: str, at: datetime, *, on: bool) -> Iterator[Event]:
        for leg in list(self._legs.values()):
            if leg.ours.id == channel:
                yield Held(leg.id, at) if on else Resumed(leg.id, at)

    def passed_on(self, channel: str, to: str, at: datetime) -> Iterator[Event]:
        for leg in list(self._legs.values()):
            if leg.ours.id == channel:
                yield Transferred(leg.id, to, at)

    def linked_of(self, channel: str) -> str:
        return next((linked for linked, some in self._channels.items() if channel in some), "")

    def _of(self, linked: str) -> list[Leg]:
        return [leg for id, leg in self._legs.items() if id.rpartition("/")[0] == linked]
