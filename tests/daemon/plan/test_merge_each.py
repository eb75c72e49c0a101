"""A list whose members are merged each by itself, within the merge of its item."""

from collections.abc import Mapping

import pytest

from crmsync.connectors.columns import entry
from crmsync.connectors.contract import Kind, Side, Value
from crmsync.daemon.plan.merge import merge
from crmsync.daemon.plan.terms import Direction, Policy, Rule, Verdict
from tests.daemon.plan.sides import Place, rules, standings

A, B, AB = ("a@x",), ("b@x",), ("a@x", "b@x")
NAME = "attendees"
Shown = Mapping[str, Value]


def of(value: Value) -> Shown:
    return {NAME: value}


def both(
    base: Value,
    ecs: Place,
    crm: Place,
    *,
    known: bool = True,
    rule: Rule | None = None,
    fill: bool = True,
    come: frozenset[str] = frozenset(),
):  # type: ignore[no-untyped-def]
    snapshot = of(base) if known else None
    return merge(
        Kind.APPOINTMENT,
        snapshot,
        *standings(snapshot, ecs, crm),
        rules(Kind.APPOINTMENT, rule),
        first_link=Policy.ASK,
        fill=fill,
        come={NAME: come},
    )


def test_nothing_changed_nothing_said() -> None:
    merged = both(AB, Place(of(AB)), Place(of(A), baseline=of(A)))
    assert (merged.to_ecs, merged.to_crm, merged.decisions, merged.touched) == ({}, {}, (), frozenset())


def test_somebody_is_known_by_now() -> None:
    merged = both(AB, Place(of(AB)), Place(of(A), baseline=of(A)), come=frozenset({"b@x"}))
    assert (merged.to_ecs, merged.to_crm) == ({}, of(AB))
    assert merged.agreed == of(AB)


@pytest.mark.parametrize(
    ("direction", "to_ecs", "to_crm", "agreed"),
    [
        (Direction.BOTH, of(AB), of(AB), of(AB)),
        (Direction.TO_CRM, {}, of(AB), of(A)),
        (Direction.TO_ECS, of(AB), {}, of(AB)),
    ],
)
def test_both_have_somebody_new(direction: Direction, to_ecs: Shown, to_crm: Shown, agreed: Shown) -> None:
    merged = both(None, Place(of(A)), Place(of(B)), rule=Rule(direction))
    assert (merged.to_ecs, merged.to_crm, merged.agreed) == (to_ecs, to_crm, agreed)
    assert merged.clashes == ()
    written = {d.verdict for d in merged.decisions} - {Verdict.KEPT}
    assert written == {v for v, to in ((Verdict.TO_ECS, to_ecs), (Verdict.TO_CRM, to_crm)) if to}


def test_a_side_that_cannot_be_written_keeps_what_it_has() -> None:
    merged = both(None, Place(of(A), read_only=frozenset({NAME})), Place(of(B)))
    assert (merged.to_ecs, merged.to_crm, merged.agreed) == ({}, of(AB), of(A))
    again = both(A, Place(of(A), read_only=frozenset({NAME})), Place(of(AB), baseline=of(AB)))
    assert (again.to_ecs, again.to_crm, again.decisions) == ({}, {}, ())


def test_what_may_not_be_written_stays_to_be_done() -> None:
    merged = both(None, Place(of(A), barred=True), Place(of(B)))
    assert merged.barred == {Side.ECS: frozenset({NAME})}
    assert (merged.to_ecs, merged.to_crm) == ({}, of(AB))  # the other way it goes all the same
    assert NAME not in merged.touched
    assert Verdict.BARRED in [d.verdict for d in merged.decisions]


def test_who_is_gone_from_the_crm_is_agreed_on_without_a_write() -> None:
    merged = both(AB, Place(of(AB)), Place(of(A), baseline=of(AB)))
    assert (merged.to_ecs, merged.to_crm) == ({}, {})
    assert merged.agreed == of(AB)
    assert [d.verdict for d in merged.decisions] == [Verdict.AGREED]


def test_at_a_first_meeting_each_side_gets_whom_it_lacks() -> None:
    merged = both(None, Place(of(A)), Place(of(B)), known=False)
    assert (merged.to_ecs, merged.to_crm, merged.agreed) == (of(AB), of(AB), of(AB))


def test_after_a_loss_what_is_remembered_is_merged_as_ever() -> None:
    merged = both(A, Place(of(AB)), Place(of(A), baseline=of(A)), fill=False)
    assert (merged.to_ecs, merged.to_crm, merged.agreed) == ({}, of(AB), of(AB))


@pytest.mark.parametrize(
    ("ecs", "crm"), [(AB, A), (A, A), (A, None), (None, None), ((entry("a@x", "accepted"),), A)]
)
def test_after_a_loss_nobody_is_asked_about_whom_the_crm_does_not_know(ecs: Value, crm: Value) -> None:
    merged = both(None, Place(of(ecs)), Place(of(crm)), known=False, fill=False)
    assert (merged.to_ecs, merged.to_crm, merged.clashes) == ({}, {}, ())
    assert merged.agreed == of(ecs)
    assert [d.verdict for d in merged.decisions] == [Verdict.AGREED]


def test_after_a_loss_somebody_is_asked_about_whom_the_calendar_does_not_know() -> None:
    merged = both(None, Place(of(A)), Place(of(B)), known=False, fill=False)
    assert (merged.to_ecs, merged.to_crm) == ({}, {})
    assert [d.verdict for d in merged.decisions] == [Verdict.HELD]
