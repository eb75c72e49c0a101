"""What holds of every merge, whatever stands on the two sides (hypothesis).

That both sides agree in the end is not enough: a CRM without birthdays that erases birthdays converges too. So every
value that somebody changed has to be found again: in a write, agreed, in the conflict log, or kept with a reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.daemon.plan.merge import merge
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Direction, Held, Merged, Policy, Rule, Verdict
from tests.daemon.plan.sides import NOON, Place, applied, as_it_is, standings

KIND = Kind.APPOINTMENT
NAMES = ("subject", "location", "description", "start", "end", "all_day", "time_zone", "categories")
WHEN = with_group(KIND, frozenset({"start"}))
WORDS = (None, "", "a", "b", " b", "long text", "longer text", "LONG TEXT")


def _shorten(columns: Columns) -> Columns:
    return {
        n: v[:4].strip() or None if isinstance(v, str) and n not in WHEN else v for n, v in columns.items()
    }


def _capitals(columns: Columns) -> Columns:
    return {n: v.upper() if isinstance(v, str) and n not in WHEN else v for n, v in columns.items()}


def _without(*names: str) -> Callable[[Columns], Columns]:
    return lambda columns: {n: v for n, v in columns.items() if n not in names}


PROJECTIONS = (as_it_is, _shorten, _capitals, _without("location"), _without("time_zone", "description"))


@dataclass(frozen=True)
class Case:
    snapshot: Columns | None
    ecs: Place
    crm: Place
    rules: Mapping[str, Rule]
    first_link: Policy

    def merged(self, held: Mapping[str, Held] | None = None) -> Merged:
        on_both = standings(self.snapshot, self.ecs, self.crm)
        return merge(KIND, self.snapshot, *on_both, self.rules, first_link=self.first_link, held=held)

    def next(self, merged: Merged) -> "Case":
        """The same item once everything was written and confirmed."""
        reached = {n: v for n, v in merged.agreed.items() if n in merged.touched}
        ecs, crm = applied(self.snapshot, self.ecs, self.crm, merged)
        return replace(self, snapshot={**(self.snapshot or {}), **reached}, ecs=ecs, crm=crm)

    def swapped(self) -> "Case":
        rules = {
            n: Rule(_MIRROR.get(r.direction, r.direction), _other(r.conflict)) for n, r in self.rules.items()
        }
        return replace(self, ecs=self.crm, crm=self.ecs, rules=rules, first_link=_other(self.first_link))


_MIRROR = {Direction.TO_CRM: Direction.TO_ECS, Direction.TO_ECS: Direction.TO_CRM}


def _other(policy: Policy) -> Policy:
    return {Policy.ECS: Policy.CRM, Policy.CRM: Policy.ECS}.get(policy, policy)


_moments = st.integers(0, 3).map(lambda h: NOON + timedelta(hours=h))
_texts = st.sampled_from(WORDS)


def _value(name: str) -> st.SearchStrategy[Value]:
    if name in ("start", "end"):
        return _moments
    if name == "all_day":
        return st.booleans()
    if name == "categories":
        return st.sampled_from([None, ("a",), ("a", "b")])
    return st.sampled_from([None, "Europe/Berlin"]) if name == "time_zone" else _texts


_columns = st.fixed_dictionaries({n: _value(n) for n in NAMES})
_rule = st.builds(Rule, st.sampled_from(Direction), st.sampled_from(Policy))


@st.composite
def _place(draw: st.DrawFn, snapshot: Columns | None, hours: st.SearchStrategy[int]) -> Place:
    project = draw(st.sampled_from(PROJECTIONS))
    fresh = project(draw(_columns))
    stale = project(snapshot) if snapshot is not None else fresh
    edited = draw(st.sets(st.sampled_from(sorted(fresh))))
    columns = {n: fresh[n] if n in edited or n not in stale else stale[n] for n in fresh}
    clocks: dict[str, datetime] = {n: NOON + timedelta(hours=draw(hours)) for n in columns}
    return Place(columns, project, clocks=clocks)


@st.composite
def cases(draw: st.DrawFn, *, rule: st.SearchStrategy[Rule] = _rule) -> Case:
    snapshot = draw(st.none() | _columns)
    even, odd = st.integers(0, 4).map(lambda n: 2 * n), st.integers(0, 4).map(lambda n: 2 * n + 1)
    ecs, crm = draw(_place(snapshot, even)), draw(_place(snapshot, odd))  # no ties
    rules = {n: draw(rule) for n in NAMES}
    rules |= dict.fromkeys(WHEN, rules["start"])
    return Case(snapshot, ecs, crm, rules, draw(st.sampled_from(Policy)))


def _changed(case: Case, side: Side) -> Columns:
    """What a person changed on this side since the snapshot; where there is none, everything that is not empty."""
    place = case.ecs if side is Side.ECS else case.crm
    base = place.standing(case.snapshot).baseline
    if case.snapshot is None:
        return {n: v for n, v in place.columns.items() if not same(v, None)}
    return {n: v for n, v in place.columns.items() if n not in base or not same(v, base[n])}


modest = settings(max_examples=100, deadline=None)


@modest
@given(case=cases())
def test_nothing_is_lost(case: Case) -> None:
    merged = case.merged()
    for side in Side:
        own, other = (case.ecs, case.crm) if side is Side.ECS else (case.crm, case.ecs)
        for name, value in _changed(case, side).items():
            if name in other.columns:  # else nobody has another opinion: it simply stays
                assert _accounted(merged, name, value, own, other, side), (side, name, value)


def _accounted(merged: Merged, name: str, value: Value, own: Place, other: Place, side: Side) -> bool:
    """The value goes to the other side, or stands there already, or is in the conflict log, or is kept or held."""
    if name in merged.writes(side.other):
        return same(merged.writes(side.other)[name], value)
    if any(d.verdict in (Verdict.KEPT, Verdict.HELD) for d in merged.decisions if name in d.columns):
        return True
    there = other.columns[name]
    stands = (
        _alike(value, there)
        or same(other.project({name: value}).get(name), there)
        or same(own.project({name: there}).get(name), value)
    )
    if stands and not any(c.column == name for c in merged.clashes):
        return True
    # A column loses with its group: then at least one of the group is in the log.
    together = WHEN if name in WHEN else {name}
    return any(c.column in together for c in merged.clashes)


def _alike(a: Value, b: Value) -> bool:
    return same(a, b) or str(a).casefold().strip() == str(b).casefold().strip()


@modest
@given(case=cases())
def test_merging_again_after_the_writes_yields_nothing(case: Case) -> None:
    first = case.merged()
    after = case.next(first)
    held = {
        c.column: Held(c.ecs, c.crm) for c in first.clashes if c.winner is None
    }  # what the state remembers of a held difference
    again = after.merged(held)
    assert (again.to_ecs, again.to_crm, again.clashes) == ({}, {}, ())
    assert again.agreed == after.snapshot
    assert not again.settled


@modest
@given(
    case=cases(rule=st.builds(Rule, st.just(Direction.BOTH), st.sampled_from([Policy.LATEST, Policy.CRM])))
)
def test_both_sides_agree_afterwards(case: Case) -> None:
    case = replace(case, first_link=Policy.LATEST)
    after = case.next(case.merged())
    for name in after.ecs.columns.keys() & after.crm.columns.keys():
        ecs, crm = after.ecs.columns[name], after.crm.columns[name]
        assert (
            _alike(ecs, crm)
            or same(after.crm.project({name: ecs}).get(name), crm)
            or same(after.ecs.project({name: crm}).get(name), ecs)
            or same(after.crm.project(after.snapshot or {}).get(name), crm)
        ), (name, ecs, crm)


@modest
@given(case=cases())
def test_sides_are_treated_alike(case: Case) -> None:
    """Swap the sides and mirror the rules: the same, swapped; but for ties, and which of two spellings is noted."""
    merged, mirrored = case.merged(), case.swapped().merged()
    assert mirrored.to_ecs == merged.to_crm
    assert mirrored.to_crm == merged.to_ecs
    assert mirrored.touched == merged.touched
    assert {(c.column, c.ecs, c.crm, c.winner) for c in mirrored.clashes} == {
        (c.column, c.crm, c.ecs, c.winner.other if c.winner else None) for c in merged.clashes
    }
    assert {(d.columns, _swap(d.verdict)) for d in mirrored.decisions} == {
        (d.columns, d.verdict) for d in merged.decisions
    }


def _swap(verdict: Verdict) -> Verdict:
    return {Verdict.TO_ECS: Verdict.TO_CRM, Verdict.TO_CRM: Verdict.TO_ECS}.get(verdict, verdict)


@modest
@given(case=cases())
def test_what_a_side_cannot_hold_is_never_erased_or_written(case: Case) -> None:
    merged = case.merged()
    both = case.ecs.columns.keys() & case.crm.columns.keys()
    assert merged.to_ecs.keys() <= both
    assert merged.to_crm.keys() <= both
    assert merged.touched <= both
    assert {n: v for n, v in merged.agreed.items() if n not in merged.touched} == {
        n: v for n, v in (case.snapshot or {}).items() if n not in merged.touched
    }


@modest
@given(
    case=cases(
        rule=st.builds(
            Rule,
            st.sampled_from([Direction.TO_CRM, Direction.TO_ECS]),
            st.sampled_from([Policy.LATEST, Policy.ECS, Policy.CRM]),
        )
    )
)
def test_one_direction_is_never_held_and_writes_the_other_way_never(case: Case) -> None:
    merged = case.merged()
    assert all(d.verdict is not Verdict.HELD for d in merged.decisions)
    assert all(c.winner is not None for c in merged.clashes)
    for side in Side:
        assert all(case.rules[n].direction.allows(side) for n in merged.writes(side))
        for name in merged.writes(side):
            place = case.ecs if side is Side.ECS else case.crm
            base = place.standing(case.snapshot).baseline
            typed = not same(place.columns[name], base.get(name))
            given_up = typed and not same(place.columns[name], place.project(merged.writes(side)).get(name))
            assert not given_up or name in {c.column for c in merged.clashes}, name


@modest
@given(case=cases(), side=st.sampled_from(Side))
def test_a_missing_right_takes_the_writes_away_and_nothing_else(case: Case, side: Side) -> None:
    free = case.merged()
    locked = replace(case.ecs if side is Side.ECS else case.crm, barred=True)
    barred = (replace(case, ecs=locked) if side is Side.ECS else replace(case, crm=locked)).merged()
    assert barred.writes(side) == {}
    assert barred.writes(side.other) == free.writes(side.other)
    assert set(barred.barred) <= {side}
    names = with_group(KIND, barred.barred.get(side, frozenset()))
    assert free.writes(side).keys() <= names
    assert barred.touched == free.touched - names
    assert [c for c in free.clashes if c.column not in names] == list(barred.clashes)
    assert [d for d in free.decisions if names.isdisjoint(d.columns)] == [
        d for d in barred.decisions if d.verdict is not Verdict.BARRED
    ]


@modest
@given(case=cases())
def test_nothing_is_made_up(case: Case) -> None:
    """A written value stood on the other side, and an empty one was empty there."""
    merged = case.merged()
    for side, source in ((Side.ECS, case.crm), (Side.CRM, case.ecs)):
        for name, value in merged.writes(side).items():
            assert value == source.columns[name]


@modest
@given(case=cases())
def test_only_what_changed_on_a_side_is_written_to_the_other(case: Case) -> None:
    if case.snapshot is None:
        return
    merged = case.merged()
    for side in Side:
        changed = with_group(KIND, frozenset(_changed(case, side)))
        assert merged.writes(side.other).keys() <= changed


@modest
@given(case=cases())
def test_groups_move_as_one(case: Case) -> None:
    merged = case.merged()
    unit = WHEN & case.ecs.columns.keys() & case.crm.columns.keys()
    for side, source in ((Side.ECS, case.crm), (Side.CRM, case.ecs)):
        written = {n: v for n, v in merged.writes(side).items() if n in WHEN}
        target = case.ecs if side is Side.ECS else case.crm
        shown = target.project({n: source.columns[n] for n in unit})
        assert written in ({}, {n: source.columns[n] for n in unit if n in shown})
    assert merged.touched & WHEN in (frozenset(), unit)


@modest
@given(case=cases())
def test_held_stays_held_until_a_side_moves(case: Case) -> None:
    case = replace(
        case, first_link=Policy.ASK, rules={n: Rule(r.direction, Policy.ASK) for n, r in case.rules.items()}
    )
    first = case.merged()
    held = {c.column: Held(c.ecs, c.crm) for c in first.clashes}
    again = case.next(first).merged(held)
    assert {n for d in again.decisions if d.verdict is Verdict.HELD for n in d.columns} >= held.keys()
    assert (again.clashes, again.settled) == ((), frozenset())
    for name in held:
        given_in = replace(case.ecs, columns={**case.ecs.columns, name: case.crm.columns[name]})
        over = replace(case, ecs=given_in).merged(held)
        if name not in WHEN:
            assert name in over.settled
