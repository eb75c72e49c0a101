"""The second table of the design ("Whole items"), a test for each row that a pure function decides."""

import itertools

import pytest

from crmsync.connectors.contract import Side
from crmsync.daemon.plan.reconcile import (
    Ask,
    DeleteOn,
    DeleteRule,
    Forget,
    Leave,
    Merge,
    Recreate,
    Seen,
    Ties,
    Unlink,
    decide,
)

FREE = Ties()
PAIRS = list(itertools.product(Seen, Seen))


@pytest.mark.parametrize(
    ("ecs", "crm"), list(itertools.product((Seen.SAME, Seen.EDITED, Seen.UNSURE), repeat=2))
)
def test_there_on_both_sides_column_by_column(ecs: Seen, crm: Seen) -> None:
    assert decide(ecs, crm, FREE) == Merge()


@pytest.mark.parametrize(
    ("ecs", "crm", "where"), [(Seen.GONE, Seen.SAME, Side.CRM), (Seen.SAME, Seen.GONE, Side.ECS)]
)
def test_gone_on_one_side_unchanged_on_the_other_deletes_there(ecs: Seen, crm: Seen, where: Side) -> None:
    fate = decide(ecs, crm, FREE)
    assert isinstance(fate, DeleteOn)
    assert fate.side is where


def test_mail_loses_its_tag_with_its_activity_and_an_activity_outlives_its_mail() -> None:
    for ties in (Ties(rule=DeleteRule.UNTAG), Ties(rule=DeleteRule.UNTAG, owned=False, elsewhere=True)):
        fate = decide(Seen.SAME, Seen.GONE, ties)
        assert isinstance(fate, DeleteOn)
        assert fate.side is Side.ECS
        assert isinstance(decide(Seen.GONE, Seen.SAME, ties), Unlink)
    assert isinstance(decide(Seen.SAME, Seen.GONE, Ties(rule=DeleteRule.UNTAG, deletable=False)), Unlink)


@pytest.mark.parametrize(
    ("ties", "why"),
    [
        (Ties(rule=DeleteRule.UNLINK), "rule"),
        (Ties(owned=False), "someone else"),
        (Ties(elsewhere=True), "another account"),
        (Ties(deletable=False), "may not be deleted"),
    ],
    ids=["rule is unlink", "not the owner", "linked by another account", "no right to delete"],
)
@pytest.mark.parametrize(("ecs", "crm"), [(Seen.GONE, Seen.SAME), (Seen.SAME, Seen.GONE)])
def test_gone_on_one_side_unchanged_on_the_other_else_unlinks(
    ecs: Seen, crm: Seen, ties: Ties, why: str
) -> None:
    fate = decide(ecs, crm, ties)
    assert isinstance(fate, Unlink)
    assert why in fate.reason


@pytest.mark.parametrize(
    ("ecs", "crm", "where"), [(Seen.GONE, Seen.UNSURE, Side.CRM), (Seen.UNSURE, Seen.GONE, Side.ECS)]
)
def test_gone_on_one_side_and_we_have_forgotten_whether_the_other_was_edited_since(
    ecs: Seen, crm: Seen, where: Side
) -> None:
    assert decide(ecs, crm, FREE) == Ask(
        decide(*((Seen.GONE, Seen.SAME) if where is Side.CRM else (Seen.SAME, Seen.GONE)), FREE)
    )  # type: ignore[arg-type]
    fate = decide(ecs, crm, Ties(owned=False))
    assert isinstance(fate, Ask)
    assert isinstance(fate.fate, Unlink)


@pytest.mark.parametrize(
    ("ecs", "crm", "where"), [(Seen.GONE, Seen.EDITED, Side.ECS), (Seen.EDITED, Seen.GONE, Side.CRM)]
)
@pytest.mark.parametrize("ties", [FREE, Ties(DeleteRule.UNLINK, False, True, False)])
def test_gone_on_one_side_edited_on_the_other_the_edit_wins(
    ecs: Seen, crm: Seen, where: Side, ties: Ties
) -> None:
    fate = decide(ecs, crm, ties)
    assert isinstance(fate, Recreate)
    assert fate.side is where
    assert "the edit wins" in fate.reason


def test_gone_on_both_sides_nothing_is_left() -> None:
    assert decide(Seen.GONE, Seen.GONE, FREE) == Forget()


@pytest.mark.parametrize(("ecs", "crm"), [p for p in PAIRS if Seen.HIDDEN in p])
def test_no_longer_visible_unlinks_and_never_deletes(ecs: Seen, crm: Seen) -> None:
    assert isinstance(decide(ecs, crm, FREE), Unlink)


@pytest.mark.parametrize("crm", list(Seen))
def test_untagged_unlinks_and_nothing_is_deleted(crm: Seen) -> None:
    assert decide(Seen.UNTAGGED, crm, FREE) == Unlink("untagged")


@pytest.mark.parametrize(
    ("ecs", "crm"),
    [(Seen.LEFT, Seen.EDITED), (Seen.EDITED, Seen.LEFT), (Seen.LEFT, Seen.GONE), (Seen.GONE, Seen.LEFT)],
)
def test_what_is_not_to_be_touched_is_left(ecs: Seen, crm: Seen) -> None:
    assert isinstance(decide(ecs, crm, FREE), Leave)


@pytest.mark.parametrize(("ecs", "crm"), PAIRS)
def test_a_delete_needs_proof_and_an_unchanged_partner(ecs: Seen, crm: Seen) -> None:
    fate = decide(ecs, crm, FREE)
    if isinstance(fate, DeleteOn):
        assert {ecs, crm} == {Seen.GONE, Seen.SAME}


@pytest.mark.parametrize(("ecs", "crm"), PAIRS)
def test_only_what_is_there_on_both_sides_is_merged(ecs: Seen, crm: Seen) -> None:
    if isinstance(decide(ecs, crm, FREE), Merge):
        assert ecs.there is True
        assert crm.there is True


@pytest.mark.parametrize(("ecs", "crm"), PAIRS)
def test_an_edit_is_never_deleted(ecs: Seen, crm: Seen) -> None:
    fate = decide(ecs, crm, FREE)
    if isinstance(fate, DeleteOn):
        assert (ecs if fate.side is Side.ECS else crm) is not Seen.EDITED
