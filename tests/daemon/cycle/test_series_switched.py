"""Fields for whole series are mapped, or no longer mapped, over a state that knows the series the other way."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.daemon.account import Mailbox
from tests.corpora.house import house
from tests.daemon.cycle.test_series import ALL, NAME, Scene, weekly
from tests.daemon.cycle.test_whole_series import FIELDS, HOME


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with house(tmp_path, HOME, calendar=FIELDS) as made:
        yield Scene(made)


class Switch:
    def __init__(self, scene: Scene) -> None:
        self.crm = scene.house.engine.accounts["alice"].crm
        self.mapped = self.crm.rules

    def off(self) -> None:
        rules = self.mapped[Kind.APPOINTMENT]
        less = {n: rule for n, rule in rules.items() if n not in ("recurrence", "exceptions")}
        self.crm.rules = {**self.mapped, Kind.APPOINTMENT: less}

    def on(self) -> None:
        self.crm.rules = self.mapped


def test_switched_on_the_events_of_linked_occurrences_stay(scene: Scene) -> None:
    switch = Switch(scene)
    switch.off()
    scene.put(weekly())
    scene.sync()
    before = scene.house.pairs()
    switch.on()
    (notice,) = scene.sync()["notices"]
    assert "linked one by one" in notice["message"]
    scene.house.engine.reconcile()
    assert scene.house.pairs().keys() == before.keys() == {f"{NAME}#{day}" for day in ALL}
    assert scene.events() == len(ALL)
    scene.house.servers["calendar"].set(NAME, scene.text().replace("Jour fixe", "Weekly").encode())
    scene.sync()
    assert {row["Subject"] for row in scene.rows().values()} == {"Weekly"}
    scene.idle()


def test_another_account_that_sees_the_calendar_does_not_bring_its_series_in_beside_them(
    scene: Scene,
) -> None:
    switch = Switch(scene)
    switch.off()
    scene.put(weekly())
    scene.sync()
    switch.on()
    accounts = scene.house.engine.accounts
    alice = accounts["alice"]
    boxes = [Mailbox(box.type, box.source, box.address) for box in alice.mailboxes]
    bob = replace(alice, name="bob", mailboxes=boxes)
    accounts["bob"] = bob  # type: ignore[index]
    scene.sync()
    scene.sync()
    assert scene.events() == len(ALL)
    scene.idle()


def test_unlinked_by_hand_it_goes_as_a_whole(scene: Scene) -> None:
    switch = Switch(scene)
    switch.off()
    scene.put(weekly())
    scene.sync()
    switch.on()
    for item in scene.house.pairs():
        scene.house.engine.unlink(item)
    scene.sync()
    scene.house.engine.reconcile()
    assert list(scene.house.pairs()) == [NAME]
    scene.idle()


def test_switched_off_nothing_is_deleted_and_nothing_twice(scene: Scene) -> None:
    scene.put(weekly())
    scene.sync()
    record = scene.house.pairs()[NAME].crm_id
    text = scene.text()
    Switch(scene).off()
    scene.sync()
    scene.house.engine.reconcile()
    assert scene.house.pairs()[f"{NAME}#20261102"].crm_id == record
    assert scene.events() == len(scene.house.pairs()) == len(ALL) + 1
    assert scene.text() == text
    scene.idle()
