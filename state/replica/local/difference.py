"""One row three times: as a person sees it (main), as it was before the first local change (orig), as the upstream has
it now (synced). Field by field, what it shall be. Pure.

    orig  main  synced   result
    a     a     a        nothing
    a     b     a        b is sent
    a     a     b        b is taken
    a     b     b        agreed: nothing is sent
    a     b     c        a clash: the policy decides, or a person

Fields that mean something only together (`UNITS`) form one unit: it changes, wins and loses as one. A field that
cannot be written upstream is the upstream's: it is taken, whatever stands here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["UNITS", "Clash", "Difference", "Policy", "Winner", "difference"]

Row = Mapping[str, Any]

UNITS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "Event": [
        (
            "IsAllDayEvent", "StartDateTime", "EndDateTime", "DurationInMinutes", "ActivityDate",
            "ActivityDateTime", "EndDate",
        )
    ],
}  # fmt: skip


class Policy(StrEnum):
    """Who wins when both sides have changed the same field to different values."""

    LATEST = "latest"
    LOCAL = "local"
    SERVER = "server"
    HOLD = "hold"


class Winner(StrEnum):
    LOCAL = "local"
    SERVER = "server"
    HELD = "held"  # nobody yet


@dataclass(frozen=True, slots=True)
class Clash:
    fields: tuple[str, ...]
    winner: Winner


@dataclass(frozen=True, slots=True)
class Difference:
    """`main` and `orig` are the rows as they shall stand from now on; `send` is what main has and the upstream has not,
    without what is held."""

    main: Row
    orig: Row
    send: Row
    clashes: tuple[Clash, ...] = ()

    @property
    def held(self) -> tuple[tuple[str, ...], ...]:
        return tuple(c.fields for c in self.clashes if c.winner is Winner.HELD)


@dataclass(slots=True)
class _Draft:
    main: dict[str, Any]
    orig: dict[str, Any]
    send: dict[str, Any] = field(default_factory=dict)
    clashes: list[Clash] = field(default_factory=list)


def difference(
    orig: Row,
    main: Row,
    synced: Row,
    *,
    writable: Iterable[str],
    policy: Policy,
    changed: Mapping[str, datetime],
    modified: datetime | None,
    units: Sequence[tuple[str, ...]] = (),
    yielding: frozenset[str] = frozenset(),
) -> Difference:
    """`changed`: when a field was changed here; `modified`: when a user last changed the row upstream, by the same
    clock. The three rows have the same fields. `yielding`: fields whose change here gives way in a clash: whoever
    made it decides, and will do it again.
    """
    open_to_us = frozenset(writable)
    draft = _Draft(dict(synced), dict(synced))
    for unit in _units(synced, units):
        ours = [name for name in unit if name in open_to_us]
        here = any(main[n] != orig[n] for n in ours)
        there = any(synced[n] != orig[n] for n in unit)
        agreed = all(main[n] == synced[n] for n in ours)
        if not here:  # a a a, a a b
            continue
        if agreed:  # a b b
            continue
        if not there:  # a b a
            _keep(draft, unit, ours, main)
        else:  # a b c
            theirs = not {n for n in ours if main[n] != orig[n]} <= yielding
            winner = _winner(policy, unit, changed, modified) if theirs else Winner.SERVER
            _decide(draft, unit, ours, orig, main, winner)
    return Difference(draft.main, draft.orig, draft.send, tuple(draft.clashes))


def _keep(draft: _Draft, unit: Sequence[str], ours: Sequence[str], main: Row) -> None:
    """What is ours goes on; what follows from it (a computed field of the unit) stays as it is shown until then."""
    draft.main.update({name: main[name] for name in unit})
    draft.send.update({name: main[name] for name in ours if main[name] != draft.orig[name]})


def _decide(
    draft: _Draft, unit: Sequence[str], ours: Sequence[str], orig: Row, main: Row, winner: Winner
) -> None:
    draft.clashes.append(Clash(tuple(unit), winner))
    match winner:
        case Winner.LOCAL:
            _keep(draft, unit, ours, main)
        case Winner.SERVER:
            pass  # as the rows stand
        case Winner.HELD:
            draft.main.update({name: main[name] for name in unit})
            draft.orig.update({name: orig[name] for name in unit})


def _winner(
    policy: Policy, unit: Sequence[str], changed: Mapping[str, datetime], modified: datetime | None
) -> Winner:
    match policy:
        case Policy.LOCAL:
            return Winner.LOCAL
        case Policy.SERVER:
            return Winner.SERVER
        case Policy.HOLD:
            return Winner.HELD
    here = max((changed[name] for name in unit if name in changed), default=None)
    if here is None or modified is None:
        return Winner.HELD  # nobody can say which was later
    return Winner.LOCAL if here > modified else Winner.SERVER  # a tie is the CRM's


def _units(names: Iterable[str], units: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    present = list(names)
    together = [tuple(n for n in unit if n in present) for unit in units]
    grouped = {name for unit in together for name in unit}
    yield from (unit for unit in together if unit)
    yield from ((name,) for name in present if name not in grouped)
