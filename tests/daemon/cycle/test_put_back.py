"""What was deleted and comes back: with every byte where we have its text, and said plainly where we have not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.cycle.world import World

PHOTO = {"PHOTO": "data:image/jpeg;base64,/9j/4AAQ", "X-SHOE-SIZE": "43"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def carded(world: World, number: int = 1) -> list[str]:
    """Tagged cards with a photo, in step."""
    made = [
        world.ecs.put(
            world.book,
            {"first_name": f"P{n}", "last_name": f"Q{n}", "email": f"p{n}@example.com", "notes": "private"},
            tags=["CRM"],
            rest=PHOTO,
        )
        for n in range(number)
    ]
    world.sync()
    return made


def deleting(report: dict[str, Any]) -> int:
    return int(next(c["id"] for c in report["cycles"] if c["deleted"]))


def reasons(world: World, item: str) -> str:
    return "\n".join(str(line["reason"]) for line in world.engine.item_history(item))


# ── we delete on the ECS side ────────────────────────────────────────────────────────────────────────────────


def test_undo_of_our_delete_of_a_card_restores_all_of_it(world: World) -> None:
    carded(world)
    before = world.the_card()
    world.crm.delete(world.the_record().id)
    answer = world.engine.undo(deleting(world.sync()))
    after = world.the_card()
    assert (after.columns, after.rest, after.tags, after.uid) == (
        before.columns,
        PHOTO,
        before.tags,
        before.uid,
    )
    assert (answer["undone"], answer["partly"]) == (1, [])


def test_undo_of_an_undo_restores_all_of_it_as_well(world: World) -> None:
    """The card that came from the CRM got a photo; undo of its create took it away, and can be undone."""
    world.record()
    (created, *_) = world.sync()["cycles"]
    card = world.the_card()
    world.engine.undo(created["id"])
    assert world.cards() == []
    (last,) = {line["cycle"] for line in world.engine.item_history(card.id) if line["action"] == "delete"}
    answer = world.engine.undo(last)
    assert (answer["undone"], answer["kept"], answer["partly"]) == (1, [], [])
    assert world.the_card().columns == card.columns
    world.sync()
    assert (len(world.cards()), len(world.contacts())) == (1, 1)
    again = world.engine.undo(last)
    assert again["undone"] == 0
    assert again["kept"]
    assert len(world.cards()) == 1


def test_a_rejected_delete_of_cards_leaves_them_as_they_are(world: World) -> None:
    carded(world, 12)
    for record in world.crm.all(world.people)[:4]:
        world.crm.delete(record.id)
    world.sync()
    held = world.engine.deletions()
    assert len(held) == 4
    assert all("recycle bin" in one["reason"] and "photo" not in one["reason"] for one in held)
    (note,) = world.engine.decide_deletions(approve=False)["notes"]
    assert "recycle bin" in note
    world.sync()
    assert len(world.contacts()) == 12
    assert [(c.rest, c.columns["notes"]) for c in world.ecs.all(world.book)] == [(PHOTO, "private")] * 12


# ── the person deleted on the ECS side ───────────────────────────────────────────────────────────────────────


def test_what_a_rejected_delete_cannot_bring_back_is_said_before_and_after(world: World) -> None:
    cards = carded(world, 12)
    for card in cards[:4]:
        world.ecs.delete(card)
    world.sync()
    held = world.engine.deletions()
    assert len(held) == 4
    assert all("photo" in one["reason"] for one in held)
    assert all("photo" in row["error"] for row in world.engine.explain(cards[0])["queue"])
    (note,) = world.engine.decide_deletions(approve=False)["notes"]
    assert "photo" in note
    world.sync()
    back = [c for c in world.ecs.all(world.book) if not c.rest]
    assert len(back) == 4, "its photo went with the card, and nobody has it any more"
    assert "photo" in reasons(world, back[0].id)
    assert any("photo" in d["reason"] for d in world.engine.explain(back[0].id)["decisions"])


def test_an_edit_that_wins_over_a_delete_says_what_is_lost(world: World) -> None:
    (card,) = carded(world)
    world.crm.edit(world.the_record().id, job_title="Countess")
    world.ecs.delete(card)
    world.sync()
    assert "photo" in reasons(world, world.the_card().id)


def test_undo_of_our_delete_of_a_record_says_what_is_lost(world: World) -> None:
    (card,) = carded(world)
    world.ecs.delete(card)
    answer = world.engine.undo(deleting(world.sync()))
    (partly,) = answer["partly"]
    assert answer["undone"] == 1
    assert partly["side"] == "crm"
    for word in ("recycle bin", "stays deleted"):
        assert word in partly["reason"]
    assert "recycle bin" in reasons(world, world.the_record().id)


def test_what_loses_nothing_says_nothing(world: World) -> None:
    """An unlink that is held, and an approval."""
    cards = carded(world, 12)
    for card in cards[:4]:
        world.ecs.untag(card, "CRM")
    world.sync()
    assert not any(word in h["reason"] for h in world.engine.deletions() for word in ("photo", "recycle"))
    assert world.engine.decide_deletions(approve=False)["notes"] == []
    world.sync()
    for card in cards[:4]:
        world.ecs.delete(card)
    world.sync()
    assert world.engine.decide_deletions(approve=True) == {"approved": 4}
