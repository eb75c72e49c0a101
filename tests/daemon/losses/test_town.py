"""However our own state is lost: nothing twice, nothing that was deleted comes back in silence, nothing that people
wrote is gone, and the tool says what happened."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from crmsync.connectors.contract import Side
from crmsync.connectors.memory.traits import Traits, groupware
from tests.daemon.losses.town import Person, Town

Loss = Callable[[Town, Path], None]


def _forgets(town: Town) -> None:
    for file in town.folder.glob("state.db*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()


def _restored(town: Town, backup: Path) -> None:
    _forgets(town)
    shutil.copytree(backup, town.folder, dirs_exist_ok=True)


def _without_log(town: Town, backup: Path) -> None:
    """Copied while it was open, and without the file that the newest commits are in."""
    _restored(town, backup)
    (town.folder / "state.db-wal").unlink(missing_ok=True)


def _other_key(town: Town, backup: Path) -> None:
    town.key = b"x" * 32


def _both_lost(town: Town, backup: Path) -> None:
    _forgets(town)
    _other_key(town, backup)


def _whole_folder_restored(town: Town, backup: Path) -> None:
    """The witness is as old as the state: only the stamps know better."""
    _restored(town, backup)
    shutil.rmtree(town.folder / "witness")


def _nothing(town: Town, backup: Path) -> None:
    """For comparison: these stories end well without a loss, too."""


LOSSES: Mapping[str, Loss] = {
    "nothing is lost": _nothing,
    "deleted": lambda town, backup: _forgets(town),
    "restored": _restored,
    "restored without its log": _without_log,
    "the key is lost": _other_key,
    "the key and the state are lost": _both_lost,
    "restored with all that lies beside it": _whole_folder_restored,
}


@contextmanager
def after_a_loss(folder: Path, loss: str, traits: Traits) -> Iterator[Town]:
    town = Town(folder / "town", ecs=traits)
    town.settle_in(late=False)
    town.sync()
    backup = folder / "backup"
    shutil.copytree(town.folder, backup)  # as a backup program does it, without asking us to stop
    town.clock.tick(1000)
    town.settle_in(late=True)
    town.sync()
    town.happens("before")
    town.sync()
    town.clock.tick(1000)
    stood = {who: len(items) for who, items in town.found().items()}
    town.close()
    LOSSES[loss](town, backup)
    town.start()
    town.stood = stood  # type: ignore[attr-defined]
    town.happens("after")
    town.clock.tick(1000)
    try:
        yield town
    finally:
        town.close()


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("remembers", [0, 30_000])
def test_no_duplicate_no_resurrection_no_lost_edit(tmp_path: Path, loss: str, remembers: int) -> None:
    (tmp_path / "town").mkdir()
    with after_a_loss(tmp_path, loss, groupware(remembers=remembers)) as town:
        if loss == "the key is lost":
            assert [e["code"] for e in town.sync()["errors"]] == ["state_failed"]
            town.engine.check(repair=True)
        report = town.sync()
        assert report["errors"] == []
        known = {"nothing is lost", "the key is lost"}
        assert (report["notices"] == []) == (loss in known), report["notices"]
        town.sync()
        town.idle()
        violations = list(_violations(town))
    assert violations == []


def _violations(town: Town) -> Iterator[str]:
    found = town.found()
    conflicts: dict[str, list[dict[str, object]]] = {}
    for one in town.engine.conflicts():
        for id in (one["item"], one["record"]):
            conflicts.setdefault(id, []).append(one)
    for person in town.inhabitants:
        here = {side: found.get((person.name, side), []) for side in Side}
        logged = [c for items in here.values() for i in items for c in conflicts.get(i.id, [])]
        yield from (f"{person}: {what}" for what in _of_one(town, person, here, logged))


def _of_one(town: Town, person: Person, here: Mapping[Side, list], logged: list) -> Iterator[str]:  # type: ignore[type-arg]
    for side, items in here.items():
        stood = town.stood.get((person.name, side), 0)  # type: ignore[attr-defined]
        if len(items) > 1:
            yield f"{len(items)} on side {side}"
        if items and (side in person.deleted or not stood):
            yield f"came back on side {side}"
        if not items and stood and not person.deleted:
            yield f"is gone from side {side}"
    if person.untagged and any("CRM" in i.tags for i in here[Side.ECS]):
        yield "was tagged again"
    known = {v for items in here.values() for i in items for v in i.columns.values()}
    known |= {c[which] for c in logged for which in ("ecs", "crm")}
    for (side, column), value in person.wrote.items():
        if person.deleted:
            continue
        if value is not None and str(value).endswith("after") and value not in known:
            yield f"“{value}” is lost"
        item = here[side][0]
        if (
            value is None
            and item.columns[column] == "at first"
            and not any(c["column"] == column for c in logged)
        ):
            yield f"{column} is filled again on side {side}"
