"""Of the merge: columns that win or lose as one, and what waits for a person or was decided by one."""

from datetime import UTC, datetime

import pytest

from crmsync.connectors.contract import Columns, Kind, Side
from crmsync.daemon.plan.merge import merge
from crmsync.daemon.plan.terms import Direction, Held, Merged, Policy, Rule, Verdict
from tests.daemon.plan.sides import LATER, NOON, Place, rules, standings, verdicts, writes

CONTACT = Kind.CONTACT

# ── columns that mean something only together ────────────────────────────────────────────────────────────────

NINE, TEN, ELEVEN, TWELVE = (datetime(2026, 3, 2, h, tzinfo=UTC) for h in (9, 10, 11, 12))
WHEN: Columns = {"start": NINE, "end": TEN, "all_day": False, "time_zone": "Europe/Berlin"}


def test_start_and_end_win_or_lose_as_one() -> None:
    moved = Place({**WHEN, "start": TEN, "end": ELEVEN}, clocks={"start": NOON, "end": NOON})
    longer = Place({**WHEN, "end": TWELVE}, clocks={"end": LATER})
    merged = merge(Kind.APPOINTMENT, WHEN, *standings(WHEN, moved, longer), rules(Kind.APPOINTMENT))
    assert writes(merged) == ({**WHEN, "end": TWELVE}, {})
    assert merged.agreed == {**WHEN, "end": TWELVE}
    assert {c.column for c in merged.clashes} == {"start", "end"}


def test_status_and_percent_win_or_lose_as_one() -> None:
    base: Columns = {"status": "in_progress", "percent_complete": 40}
    done = Place({"status": "completed", "percent_complete": 100})
    merged = merge(Kind.TASK, base, *standings(base, done, Place(base)), rules(Kind.TASK))
    assert writes(merged) == ({}, {"status": "completed", "percent_complete": 100})


def test_of_a_group_only_what_both_sides_hold_is_exchanged() -> None:
    without_zone = {n: v for n, v in WHEN.items() if n != "time_zone"}
    moved = Place({**WHEN, "start": TEN, "end": ELEVEN})
    merged = merge(
        Kind.APPOINTMENT, WHEN, *standings(WHEN, moved, Place(without_zone)), rules(Kind.APPOINTMENT)
    )
    assert merged.to_crm == {"start": TEN, "end": ELEVEN, "all_day": False}


def test_what_one_side_fills_in_by_itself_goes_along_and_is_nobodys_edit() -> None:
    base: Columns = {"status": "in_progress", "percent_complete": 40}
    ecs = Place({**base, "completed_at": None})
    filled = Place({**base, "completed_at": NOON}, read_only=frozenset({"completed_at"}))
    merged = merge(Kind.TASK, base, *standings(base, ecs, filled), rules(Kind.TASK))
    assert writes(merged) == ({}, {})
    done = Place({"status": "completed", "percent_complete": 100, "completed_at": NOON})
    merged = merge(Kind.TASK, base, *standings(base, ecs, done), rules(Kind.TASK))
    assert writes(merged) == (done.columns, {})
    assert merged.clashes == ()


@pytest.mark.parametrize("later", list(Side))
def test_of_a_group_only_what_somebody_can_have_typed_is_told_as_lost(later: Side) -> None:
    """The CRM works out by itself when a task was completed; the ECS side had never said."""
    base: Columns = {"status": "in_progress", "percent_complete": 40}
    clocks = dict.fromkeys(("status", "completed_at"), LATER)
    ecs = Place(
        {"status": "not_started", "percent_complete": 40, "completed_at": None},
        clocks=clocks if later is Side.ECS else {},
    )
    crm = Place(
        {"status": "completed", "percent_complete": 40, "completed_at": NOON},
        read_only=frozenset({"completed_at"}),
        clocks=clocks if later is Side.CRM else {},
    )
    merged = merge(Kind.TASK, base, *standings(base, ecs, crm), rules(Kind.TASK))
    assert {(c.column, c.winner) for c in merged.clashes} == {("status", later)}


def test_of_a_group_that_waits_for_a_person_everything_that_differs_is_told() -> None:
    base: Columns = {"status": "in_progress", "percent_complete": 40}
    ecs = Place({**base, "status": "not_started", "completed_at": None})
    crm = Place({**base, "status": "completed", "completed_at": NOON}, read_only=frozenset({"completed_at"}))
    ask = rules(Kind.TASK, Rule(conflict=Policy.ASK))
    merged = merge(Kind.TASK, base, *standings(base, ecs, crm), ask)
    assert {c.column for c in merged.clashes} == {"status", "completed_at"}


# ── what a person decided or has to decide ───────────────────────────────────────────────────────────────────


def _held(ecs: str, crm: str, rule: Rule | None = None) -> Merged:
    base = {"first_name": "a"}
    return merge(
        CONTACT,
        base,
        *standings(base, Place({"first_name": ecs}), Place({"first_name": crm})),
        rules(CONTACT, rule or Rule(conflict=Policy.ASK)),
        held={"first_name": Held("b", "c")},
    )


def test_held_stays_held_without_a_new_conflict() -> None:
    merged = _held("b", "c", Rule(conflict=Policy.LATEST))
    assert (writes(merged), merged.clashes, merged.settled) == (({}, {}), (), frozenset())
    assert verdicts(merged) == [Verdict.HELD]


def test_held_is_over_when_a_side_gives_in() -> None:
    assert _held("b", "b").settled == {"first_name"}
    assert writes(_held("b", "b")) == ({}, {})
    assert _held("b", "a").to_crm == {"first_name": "b"}
    assert _held("b", "a").settled == {"first_name"}


def test_held_again_when_a_side_moves_on() -> None:
    merged = _held("b", "d")
    assert [(c.ecs, c.crm, c.winner) for c in merged.clashes] == [("b", "d", None)]
    assert merged.settled == frozenset()


@pytest.mark.parametrize("choice", ["b", "c", "d", None])
def test_a_persons_decision_goes_wherever_something_else_stands(choice: str | None) -> None:
    base = {"first_name": "a"}
    merged = merge(
        CONTACT,
        base,
        *standings(base, Place({"first_name": "b"}), Place({"first_name": "c"})),
        rules(CONTACT, Rule(Direction.NONE)),
        held={"first_name": Held("b", "c")},
        decided={"first_name": choice},
    )
    expected = {"first_name": choice}
    assert writes(merged) == ({} if choice == "b" else expected, {} if choice == "c" else expected)
    assert merged.agreed == expected
    assert merged.settled == {"first_name"}


@pytest.mark.parametrize("side", list(Side))
def test_a_decision_about_one_column_takes_its_group_from_the_side_that_had_it(side: Side) -> None:
    ecs = Place({**WHEN, "start": TEN, "end": ELEVEN})
    crm = Place({**WHEN, "start": ELEVEN, "end": TWELVE, "time_zone": "Europe/Paris"})
    chosen = ecs if side is Side.ECS else crm
    merged = merge(
        Kind.APPOINTMENT,
        WHEN,
        *standings(WHEN, ecs, crm),
        rules(Kind.APPOINTMENT),
        decided={"start": chosen.columns["start"]},
    )
    assert merged.agreed == chosen.columns
    assert merged.writes(side.other) == chosen.columns
    assert merged.writes(side) == {}


@pytest.mark.parametrize("start", [NINE, TEN], ids=["neither has it", "both have it"])
def test_a_decision_that_tells_the_sides_not_apart_takes_its_group_from_the_ecs_side(start: datetime) -> None:
    ecs = Place({**WHEN, "start": TEN, "end": ELEVEN})
    crm = Place({**WHEN, "start": TEN, "end": TWELVE})
    on_both = standings(WHEN, ecs, crm)
    merged = merge(Kind.APPOINTMENT, WHEN, *on_both, rules(Kind.APPOINTMENT), decided={"start": start})
    assert merged.agreed == {**ecs.columns, "start": start}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("b", [Verdict.TO_CRM]),
        ("c", [Verdict.TO_ECS]),
        ("d", [Verdict.TO_ECS, Verdict.TO_CRM]),
    ],
)
def test_a_persons_decision_is_told_of_each_side_that_gets_it(choice: str, expected: list[Verdict]) -> None:
    on_both = standings(None, Place({"first_name": "b"}), Place({"first_name": "c"}))
    merged = merge(CONTACT, None, *on_both, rules(CONTACT), decided={"first_name": choice})
    assert verdicts(merged) == expected
    assert merged.settled == {"first_name"}


def test_a_decision_for_what_stands_already_is_agreed() -> None:
    place = Place({"first_name": "b"})
    on_both = standings(None, place, place)
    merged = merge(CONTACT, None, *on_both, rules(CONTACT), decided={"first_name": "b"})
    assert (writes(merged), verdicts(merged)) == (({}, {}), [Verdict.AGREED])


def test_a_decision_that_one_side_may_not_write_goes_to_the_other() -> None:
    ecs = Place({"first_name": "b"}, read_only=frozenset({"first_name"}))
    on_both = standings(None, ecs, Place({"first_name": "c"}))
    merged = merge(CONTACT, None, *on_both, rules(CONTACT), decided={"first_name": "d"})
    assert writes(merged) == ({}, {"first_name": "d"})
    assert verdicts(merged) == [Verdict.KEPT, Verdict.TO_CRM]
    assert "in the ECS side" in merged.decisions[0].reason


def test_a_decision_that_a_side_may_not_write_says_so() -> None:
    base = {"first_name": "a"}
    ecs = Place({"first_name": "b"})
    crm = Place({"first_name": "c"}, read_only=frozenset({"first_name"}))
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT), decided={"first_name": "b"})
    assert writes(merged) == ({}, {})
    assert verdicts(merged) == [Verdict.KEPT]


@pytest.mark.parametrize("choice", ["b", "c", "d"])
def test_a_decision_for_which_the_right_is_missing_stays_to_be_carried_out(choice: str) -> None:
    base = {"first_name": "a"}
    ecs, crm = Place({"first_name": "b"}), Place({"first_name": "c"}, barred=True)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT), decided={"first_name": choice})
    if choice == "c":
        assert (writes(merged), merged.barred) == (({"first_name": "c"}, {}), {})
        return
    assert (writes(merged), merged.agreed) == (({}, {}), base)
    assert (merged.barred, merged.settled) == ({Side.CRM: {"first_name"}}, frozenset())
    assert verdicts(merged) == [Verdict.BARRED]


@pytest.mark.parametrize(
    ("choice", "ecs", "crm", "logged"),
    [
        ("b", "b", "c", []),  # as it was when the choice was offered
        ("b", "b", "d", [(Side.ECS, "b", "d")]),  # typed in the CRM since, and it gives way
        ("c", "b", "d", [(Side.ECS, "b", "d")]),  # even where the CRM was to win
        ("b", "d", "c", [(Side.CRM, "d", "c")]),  # typed over what was chosen
        ("e", "d", "f", [(Side.CRM, "d", "f")]),  # on both sides: one line shows both
        ("e", "b", "c", []),
        ("b", "b", "a", []),  # taken back to what both had
    ],
)
def test_what_was_typed_after_the_choice_was_offered_is_not_lost_in_silence(
    choice: str, ecs: str, crm: str, logged: list[tuple[Side, str, str]]
) -> None:
    base = {"first_name": "a"}
    both = standings(base, Place({"first_name": ecs}), Place({"first_name": crm}))
    offered = {"first_name": Held("b", "c")}
    decided = {"first_name": choice}
    merged = merge(CONTACT, base, *both, rules(CONTACT), decided=decided, considered=offered)
    assert [(c.winner, c.ecs, c.crm) for c in merged.clashes] == logged
    assert merged.agreed == {"first_name": choice}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("end", [TEN, ELEVEN, TWELVE], ids=["untouched", "as the other side has it", "typed"])
def test_what_goes_along_with_a_decision_about_its_group_is_not_lost_in_silence(
    side: Side, end: datetime
) -> None:
    """Asked was about the start only. What has become of the end on the side that gives way, nobody has seen."""
    chosen, other = Place({**WHEN, "start": TEN, "end": ELEVEN}), Place({**WHEN, "end": end})
    both = (chosen, other) if side is Side.ECS else (other, chosen)
    merged = merge(
        Kind.APPOINTMENT,
        WHEN,
        *standings(WHEN, *both),
        rules(Kind.APPOINTMENT),
        decided={"start": TEN},
        considered={"start": Held(*(p.columns["start"] for p in both))},
    )
    assert merged.agreed == chosen.columns
    typed = [("end", WHEN["end"], *(p.columns["end"] for p in both), side)] if end == TWELVE else []
    assert [(c.column, c.base, c.ecs, c.crm, c.winner) for c in merged.clashes] == typed
