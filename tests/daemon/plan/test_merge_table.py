"""The first table of the design ("Merge, column by column"), a test for each row."""

from datetime import date, datetime

import pytest

from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.daemon.plan.merge import merge
from crmsync.daemon.plan.terms import NEVER, Clash, Decision, Direction, Merged, Policy, Rule, Verdict
from tests.daemon.plan.sides import LATER, NOON, Place, rules, standings, verdicts, writes

CONTACT = Kind.CONTACT


def first_name(
    snapshot: Value | None,
    ecs: Value,
    crm: Value,
    rule: Rule | None = None,
    *,
    first_link: Policy = Policy.ASK,
    ecs_at: datetime = NOON,
    crm_at: datetime = NOON,
    linked: bool = True,
    fill: bool = True,
) -> Merged:
    """One column; ``linked`` False: there is no snapshot yet."""
    base = {"first_name": snapshot} if linked else None
    on_ecs = Place({"first_name": ecs}, clocks={"first_name": ecs_at})
    on_crm = Place({"first_name": crm}, clocks={"first_name": crm_at})
    sides = standings(base, on_ecs, on_crm)
    return merge(CONTACT, base, *sides, rules(CONTACT, rule), first_link=first_link, fill=fill)


# ── a a a ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_a_a_nothing() -> None:
    merged = first_name("a", "a", "a")
    assert merged == Merged({}, {}, {"first_name": "a"}, frozenset(), (), (), frozenset())


@pytest.mark.parametrize("touched", [" a", "a\r\n", "a "])
def test_a_a_a_white_space_that_servers_add_is_no_edit(touched: str) -> None:
    assert writes(first_name("a", touched, "a")) == ({}, {})
    assert writes(first_name("a", "a", touched)) == ({}, {})


def test_a_a_a_two_spellings_of_one_letter_are_no_edit() -> None:
    assert writes(first_name("Zoe\u0308", "Zo\u00eb", "Zoe\u0308")) == ({}, {})


def test_a_a_a_an_empty_text_is_nothing() -> None:
    assert writes(first_name(None, "", None)) == ({}, {})


# ── one side ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_b_a_b_to_the_crm() -> None:
    merged = first_name("a", "b", "a")
    assert writes(merged) == ({}, {"first_name": "b"})
    assert merged.agreed == {"first_name": "b"}
    assert verdicts(merged) == [Verdict.TO_CRM]


def test_a_a_b_b_to_the_ecs() -> None:
    merged = first_name("a", "a", "b")
    assert writes(merged) == ({"first_name": "b"}, {})
    assert merged.agreed == {"first_name": "b"}
    assert verdicts(merged) == [Verdict.TO_ECS]


@pytest.mark.parametrize("ecs_at", [NOON, LATER])
def test_a_a_b_time_decides_nothing_when_only_one_side_changed(ecs_at: datetime) -> None:
    assert first_name("a", "a", "b", ecs_at=ecs_at).to_ecs == {"first_name": "b"}


def test_a_empty_a_emptying_is_an_edit() -> None:
    assert writes(first_name("a", None, "a")) == ({}, {"first_name": None})
    assert writes(first_name("a", "a", None)) == ({"first_name": None}, {})


def test_different_columns_of_one_item_both_survive() -> None:
    base = {"first_name": "Ada", "last_name": "King"}
    ecs, crm = Place({**base, "first_name": "Augusta"}), Place({**base, "last_name": "Lovelace"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({"last_name": "Lovelace"}, {"first_name": "Augusta"})
    assert merged.agreed == {"first_name": "Augusta", "last_name": "Lovelace"}
    assert merged.clashes == ()


# ── both sides ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_b_b_agreed_no_write() -> None:
    merged = first_name("a", "b", "b")
    assert writes(merged) == ({}, {})
    assert merged.agreed == {"first_name": "b"}
    assert merged.touched == {"first_name"}
    assert verdicts(merged) == [Verdict.AGREED]


def test_a_b_c_the_later_clock_wins() -> None:
    merged = first_name("a", "b", "c", ecs_at=LATER)
    assert writes(merged) == ({}, {"first_name": "b"})
    assert merged.agreed == {"first_name": "b"}
    assert [c.winner for c in merged.clashes] == [Side.ECS]
    merged = first_name("a", "b", "c", crm_at=LATER)
    assert writes(merged) == ({"first_name": "c"}, {})
    assert [c.winner for c in merged.clashes] == [Side.CRM]


def test_a_b_c_a_tie_goes_to_the_crm() -> None:
    assert writes(first_name("a", "b", "c")) == ({"first_name": "c"}, {})


def test_a_b_c_a_side_without_a_clock_is_the_earlier() -> None:
    base = {"first_name": "a"}
    ecs, crm = Place({"first_name": "b"}, clocks={"first_name": NOON}), Place({"first_name": "c"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({}, {"first_name": "b"})


@pytest.mark.parametrize(
    ("ecs_at", "crm_at", "words"),
    [
        (LATER, NOON, "the ECS side later (2026-03-02 12:05:00 after 2026-03-02 12:00:00)"),
        (NOON, LATER, "the CRM later (2026-03-02 12:05:00 after 2026-03-02 12:00:00)"),
        (NOON, NEVER, "the ECS side later (2026-03-02 12:00:00 after unknown)"),
        (NOON, NOON, "at the same time; a tie goes to the CRM"),
    ],
)
def test_a_b_c_the_reason_says_who_was_later(ecs_at: datetime, crm_at: datetime, words: str) -> None:
    (decision,) = first_name("a", "b", "c", ecs_at=ecs_at, crm_at=crm_at).decisions
    assert words in decision.reason


def test_a_b_c_ecs_or_crm_by_rule_whatever_the_clocks_say() -> None:
    ecs, crm = Rule(conflict=Policy.ECS), Rule(conflict=Policy.CRM)
    assert writes(first_name("a", "b", "c", ecs, crm_at=LATER)) == ({}, {"first_name": "b"})
    assert writes(first_name("a", "b", "c", crm, ecs_at=LATER)) == ({"first_name": "c"}, {})


def test_a_b_c_ask_holds_it_and_writes_nothing() -> None:
    merged = first_name("a", "b", "c", Rule(conflict=Policy.ASK), ecs_at=LATER)
    assert writes(merged) == ({}, {})
    assert merged.agreed == {"first_name": "a"}
    assert [c.winner for c in merged.clashes] == [None]
    assert verdicts(merged) == [Verdict.HELD]


def test_a_b_c_the_loser_stands_in_the_conflict_log() -> None:
    (clash,) = first_name("a", "b", "c").clashes
    assert clash == Clash("first_name", "a", "b", "c", Side.CRM, clash.reason)
    assert clash.reason


# ── the first link ───────────────────────────────────────────────────────────────────────────────────────────


def test_none_b_empty_b_to_the_crm() -> None:
    merged = first_name(None, "b", None, linked=False)
    assert writes(merged) == ({}, {"first_name": "b"})
    assert merged.agreed == {"first_name": "b"}


def test_none_empty_c_c_to_the_ecs() -> None:
    assert writes(first_name(None, "  ", "c", linked=False)) == ({"first_name": "c"}, {})


def test_none_empty_empty_is_agreed_to_be_empty() -> None:
    merged = first_name(None, None, "", linked=False)
    assert writes(merged) == ({}, {})
    assert merged.agreed == {"first_name": None}


@pytest.mark.parametrize(
    ("column", "ecs", "crm"),
    [
        ("first_name", "ADA  Augusta", "ada augusta"),
        ("email", "Ada@Example.COM", "ada@example.com"),
        ("phone_work", "+49 (30) 123-4567", "+49301234567"),
        ("company", "Ａｎａｌｙｔｉｃａｌ", "analytical"),
    ],
)
def test_none_b_c_equal_after_normalising_is_agreed(column: str, ecs: str, crm: str) -> None:
    on_ecs, on_crm = Place({column: ecs}), Place({column: crm})
    merged = merge(CONTACT, None, *standings(None, on_ecs, on_crm), rules(CONTACT))
    assert writes(merged) == ({}, {})
    assert verdicts(merged) == [Verdict.AGREED]
    assert merged.touched == {column}


def test_none_b_c_is_held_by_default() -> None:
    merged = first_name(None, "b", "c", linked=False, ecs_at=LATER)
    assert writes(merged) == ({}, {})
    assert merged.agreed == {}
    assert [c.winner for c in merged.clashes] == [None]


@pytest.mark.parametrize(
    ("first_link", "to_ecs", "to_crm"),
    [
        (Policy.ECS, {}, {"first_name": "b"}),
        (Policy.CRM, {"first_name": "c"}, {}),
        (Policy.LATEST, {}, {"first_name": "b"}),
    ],
)
def test_none_b_c_by_the_accounts_first_link(first_link: Policy, to_ecs: Columns, to_crm: Columns) -> None:
    merged = first_name(None, "b", "c", linked=False, first_link=first_link, ecs_at=LATER)
    assert writes(merged) == (to_ecs, to_crm)
    assert len(merged.clashes) == 1


@pytest.mark.parametrize(("ecs", "crm"), [("b", None), (None, "c")])
def test_none_b_empty_is_held_where_the_two_have_met_before(ecs: Value, crm: Value) -> None:
    merged = first_name(None, ecs, crm, linked=False, fill=False)
    assert writes(merged) == ({}, {})
    assert verdicts(merged) == [Verdict.HELD]
    assert [(c.ecs, c.crm) for c in merged.clashes] == [(ecs, crm)]


@pytest.mark.parametrize("rule", [Rule(), Rule(Direction.TO_ECS)])
def test_none_b_empty_is_no_question_where_nothing_can_be_filled_in(rule: Rule) -> None:
    ecs = Place({"first_name": "b"})
    crm = Place({"first_name": None}, read_only=frozenset({"first_name"} if rule == Rule() else ()))
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT, rule), fill=False)
    assert verdicts(merged) == [Verdict.KEPT]
    assert merged.clashes == ()


def test_none_b_c_numbers_that_differ_in_their_extension_are_not_the_same() -> None:
    ecs, crm = Place({"phone_work": "+49 30 1234567 ext. 5"}), Place({"phone_work": "+49 30 1234567 ext. 6"})
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT))
    assert verdicts(merged) == [Verdict.HELD]


# ── what a side cannot hold, truncates or may not write ──────────────────────────────────────────────────────


def test_a_b_cannot_hold_is_kept_and_no_opinion_on_the_other() -> None:
    base: Columns = {"first_name": "Ada", "birthday": date(1815, 12, 10)}
    ecs, crm = Place({**base, "birthday": date(1815, 12, 11)}), Place({"first_name": "Ada"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({}, {})
    assert merged.agreed == base, "a snapshot advances only when both sides hold the column"


def test_first_link_cannot_hold_erases_nothing() -> None:
    ecs, crm = Place({"first_name": "Ada", "birthday": date(1815, 12, 10)}), Place({"first_name": "Ada"})
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({}, {})
    assert "birthday" not in merged.agreed


def _three_letters(columns: Columns) -> Columns:
    return {n: v[:3] if isinstance(v, str) else v for n, v in columns.items()}


def test_what_a_side_truncates_is_no_edit() -> None:
    base = {"first_name": "Augusta"}
    ecs, crm = Place(base), Place({"first_name": "Aug"}, _three_letters)
    assert writes(merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))) == ({}, {})


def test_an_edit_beyond_what_the_other_side_shows_is_agreed_without_a_write() -> None:
    base = {"first_name": "Augusta"}
    ecs, crm = Place({"first_name": "August"}), Place({"first_name": "Aug"}, _three_letters)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({}, {})
    assert merged.agreed == {"first_name": "August"}
    assert verdicts(merged) == [Verdict.AGREED]


def test_an_edit_of_the_truncated_value_goes_to_the_other_side() -> None:
    base = {"first_name": "Augusta"}
    ecs, crm = Place(base), Place({"first_name": "Ada"}, _three_letters)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({"first_name": "Ada"}, {})


def test_first_link_of_a_truncated_value_is_agreed() -> None:
    ecs, crm = Place({"first_name": "Augusta"}), Place({"first_name": "Aug"}, _three_letters)
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT))
    assert verdicts(merged) == [Verdict.AGREED]


@pytest.mark.parametrize("side", list(Side))
def test_agreed_on_is_the_longer_of_a_value_and_its_truncation(side: Side) -> None:
    long, short = Place({"first_name": "Augusta"}), Place({"first_name": "Aug"}, _three_letters)
    ecs, crm = (long, short) if side is Side.ECS else (short, long)
    for base in ({"first_name": "Bob"}, None):
        merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
        assert writes(merged) == ({}, {})
        assert merged.agreed == {"first_name": "Augusta"}


def test_a_b_b_is_agreed_also_where_neither_side_would_take_it_from_us() -> None:
    base = {"first_name": "a"}
    place = Place({"first_name": "b"}, project=lambda columns: {}, baseline=base)
    merged = merge(CONTACT, base, *standings(base, place, place), rules(CONTACT))
    assert (writes(merged), merged.agreed, verdicts(merged)) == (
        ({}, {}),
        {"first_name": "b"},
        [Verdict.AGREED],
    )


def test_what_the_other_side_shows_but_would_not_take_is_kept() -> None:
    base = {"first_name": "a"}
    ecs, crm = Place({"first_name": "b"}), Place(base, project=lambda columns: {}, baseline=base)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.agreed, verdicts(merged)) == (({}, {}), base, [Verdict.KEPT])


def test_what_the_other_side_may_not_write_is_kept() -> None:
    base = {"first_name": "a"}
    ecs, crm = Place({"first_name": "b"}), Place(base, read_only=frozenset({"first_name"}))
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.agreed, verdicts(merged)) == (({}, {}), base, [Verdict.KEPT])
    assert "cannot be written in the CRM" in merged.decisions[0].reason


def test_a_winner_that_cannot_be_written_is_kept_and_no_conflict() -> None:
    """Else the conflict log would gain a line, naming a winner, with every cycle."""
    base = {"first_name": "a"}
    ecs = Place({"first_name": "b"}, clocks={"first_name": LATER})
    crm = Place({"first_name": "c"}, read_only=frozenset({"first_name"}))
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.KEPT])


def test_a_winner_that_the_other_side_would_not_show_is_kept_and_no_conflict() -> None:
    base = {"first_name": "a"}
    ecs = Place({"first_name": "b"}, clocks={"first_name": LATER})
    crm = Place({"first_name": "c"}, project=lambda columns: {}, baseline=base)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.KEPT])


def test_first_link_b_empty_goes_there_unless_the_two_have_met_before() -> None:
    ecs, crm = Place({"first_name": "b"}), Place({"first_name": None})
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT))
    assert writes(merged) == ({}, {"first_name": "b"})
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT), fill=False)
    assert (writes(merged), verdicts(merged)) == (({}, {}), [Verdict.HELD])


@pytest.mark.parametrize("side", list(Side))
def test_what_lacks_a_right_on_the_other_side_is_barred(side: Side) -> None:
    base = {"first_name": "a", "last_name": "z"}
    edited, locked = Place({**base, "first_name": "b"}), Place(base, barred=True)
    ecs, crm = (locked, edited) if side is Side.ECS else (edited, locked)
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.agreed, verdicts(merged)) == (({}, {}), base, [Verdict.BARRED])
    assert merged.barred == {side: {"first_name"}}


def test_a_winner_that_lacks_the_right_is_barred_and_no_conflict() -> None:
    base = {"first_name": "a"}
    ecs, crm = Place({"first_name": "b"}, barred=True), Place({"first_name": "c"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT))
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.BARRED])


@pytest.mark.parametrize(
    ("ecs", "crm", "rule"),
    [
        ("a", "a", Rule()),  # nothing to write
        ("b", "a", Rule(Direction.TO_ECS)),  # does not go there
        ("b", "a", Rule(Direction.NONE)),
        ("b", "b", Rule()),  # stands there already
        ("a", "b", Rule()),  # goes the other way
        ("b", "c", Rule(conflict=Policy.ASK)),  # first a person decides
        ("b", "c", Rule(conflict=Policy.CRM)),
    ],
)
def test_nothing_is_barred_that_would_not_be_written(ecs: str, crm: str, rule: Rule) -> None:
    base = {"first_name": "a"}
    on_both = standings(base, Place({"first_name": ecs}), Place({"first_name": crm}, barred=True))
    assert merge(CONTACT, base, *on_both, rules(CONTACT, rule)).barred == {}


def test_what_no_right_could_make_writable_is_kept() -> None:
    """A computed column of a record that may not be edited either."""
    base = {"first_name": "a"}
    locked = Place(base, read_only=frozenset({"first_name"}), barred=True)
    merged = merge(CONTACT, base, *standings(base, Place({"first_name": "b"}), locked), rules(CONTACT))
    assert (merged.barred, verdicts(merged)) == ({}, [Verdict.KEPT])


# ── directions ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("direction", "to_ecs", "to_crm"),
    [
        (Direction.BOTH, {"last_name": "c"}, {"first_name": "b"}),
        (Direction.TO_CRM, {}, {"first_name": "b"}),
        (Direction.TO_ECS, {"last_name": "c"}, {}),
        (Direction.NONE, {}, {}),
    ],
)
def test_any_direction_per_column(direction: Direction, to_ecs: Columns, to_crm: Columns) -> None:
    base = {"first_name": "a", "last_name": "a"}
    ecs, crm = Place({**base, "first_name": "b"}), Place({**base, "last_name": "c"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), rules(CONTACT, Rule(direction)))
    assert writes(merged) == (to_ecs, to_crm)
    kept = base.keys() - to_ecs.keys() - to_crm.keys()
    assert all(merged.agreed[n] == "a" for n in kept), "kept: the snapshot stays where both sides agreed last"


@pytest.mark.parametrize(
    ("direction", "winner"), [(Direction.TO_CRM, Side.ECS), (Direction.TO_ECS, Side.CRM)]
)
def test_any_one_direction_decides_a_conflict(direction: Direction, winner: Side) -> None:
    merged = first_name("a", "b", "c", Rule(direction, Policy.LATEST), ecs_at=LATER)
    assert [c.winner for c in merged.clashes] == [winner]
    assert writes(merged) == (({}, {"first_name": "b"}) if winner is Side.ECS else ({"first_name": "c"}, {}))


EVERY_POLICY = [Policy.ASK, Policy.LATEST, Policy.ECS, Policy.CRM]


@pytest.mark.parametrize("first_link", EVERY_POLICY)
@pytest.mark.parametrize(
    ("direction", "winner"), [(Direction.TO_CRM, Side.ECS), (Direction.TO_ECS, Side.CRM)]
)
def test_any_one_direction_decides_a_first_meeting(
    direction: Direction, winner: Side, first_link: Policy
) -> None:
    """There is nothing to decide, but what a person typed stands in the conflict log."""
    merged = first_name(None, "b", "c", Rule(direction), linked=False, first_link=first_link)
    assert writes(merged) == (({}, {"first_name": "b"}) if winner is Side.ECS else ({"first_name": "c"}, {}))
    (clash,) = merged.clashes
    assert (clash.base, clash.ecs, clash.crm, clash.winner) == (None, "b", "c", winner)
    assert "differ" in clash.reason


@pytest.mark.parametrize("direction", [Direction.TO_CRM, Direction.TO_ECS])
def test_any_one_direction_that_shall_be_asked_about_is_held(direction: Direction) -> None:
    """By a rule for this very column: the person decides whether the value there may go."""
    asked = Rule(direction, Policy.ASK)
    for base in ("a", None):
        merged = first_name(base, "b", "c", asked, linked=base is not None)
        assert (writes(merged), verdicts(merged)) == (({}, {}), [Verdict.HELD])
    merged = first_name(None, "b", "c", asked, linked=False, first_link=Policy.LATEST)
    assert verdicts(merged) != [Verdict.HELD], "the account says what happens at a first meeting"


@pytest.mark.parametrize(
    ("direction", "ecs", "crm"), [(Direction.TO_CRM, None, "c"), (Direction.TO_ECS, "b", None)]
)
def test_any_one_direction_erases_nothing_at_a_first_meeting(
    direction: Direction, ecs: Value, crm: Value
) -> None:
    merged = first_name(None, ecs, crm, Rule(direction), linked=False)
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.KEPT])
    assert merged.agreed == {}


@pytest.mark.parametrize("direction", [Direction.TO_CRM, Direction.TO_ECS])
def test_any_one_direction_agrees_at_a_first_meeting_as_two_do(direction: Direction) -> None:
    merged = first_name(None, "ADA", "ada", Rule(direction), linked=False)
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.AGREED])


def test_any_one_direction_into_a_side_that_cannot_be_written_is_kept() -> None:
    ecs, crm = Place({"company": "b"}, read_only=frozenset({"company"})), Place({"company": "c"})
    merged = merge(CONTACT, None, *standings(None, ecs, crm), rules(CONTACT, Rule(Direction.TO_ECS)))
    assert (writes(merged), merged.clashes, verdicts(merged)) == (({}, {}), (), [Verdict.KEPT])


def test_any_a_column_without_a_rule_is_not_exchanged() -> None:
    base = {"notes": "a"}
    ecs, crm = Place({"notes": "b"}), Place({"notes": "c"})
    merged = merge(CONTACT, base, *standings(base, ecs, crm), {})
    assert (writes(merged), verdicts(merged)) == (({}, {}), [Verdict.KEPT])


def test_every_decision_is_printable() -> None:
    (decision,) = first_name("a", "b", "c").decisions
    assert isinstance(decision, Decision)
    assert decision.columns == ("first_name",)
    assert decision.reason
