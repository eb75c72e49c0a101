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
    """The database; the witness lies beside the key."""
    _forgets(town)
    shutil.copytree(backup, town.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("witness"))


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
    """Database, key and witness are of one time: only the stamps know better."""
    shutil.rmtree(town.folder)
    shutil.copytree(backup, town.folder)


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
def after_a_loss(
    folder: Path,
    loss: str,
    traits: Traits | None = None,
    lives_here: Callable[[Person], bool] = lambda person: True,
) -> Iterator[Town]:
    town = Town(folder / "town", ecs=traits)
    town.inhabitants = [person for person in town.inhabitants if lives_here(person)]
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
    assert not violations, "\n".join(violations)


QUIET = ("nothing", "card edited", "cleared on the card", "card deleted", "both deleted", "untagged")


WHOLE = "restored with all that lies beside it"


def _quiet(person: Person) -> bool:
    return not person.late and person.before in QUIET


def test_a_whole_folder_that_no_stamp_contradicts(tmp_path: Path) -> None:
    """Nothing was written to a card since the backup, and the witness is as old as the state, so nothing tells that
    there was a later one. Nothing is there twice and nothing is lost; an edit of before the loss looks like a new one,
    and wins over a delete. The history says so."""
    (tmp_path / "town").mkdir()
    with after_a_loss(tmp_path, WHOLE, lives_here=_quiet) as town:
        report = town.sync()
        assert (report["errors"], report["notices"]) == ([], [])
        town.sync()
        town.idle()
        back = [p for p in town.inhabitants if any(_violation(town, p))]
        assert {what.rpartition(" ")[0] for p in back for what in _violation(town, p)} == {
            "came back on side"
        }
        assert {p.before for p in back} <= {"card edited", "cleared on the card"}
        for person in back:
            (item,) = town.found()[person.name, Side.ECS]
            reasons = [str(e["reason"]) for e in town.engine.item_history(item.id)]
            assert any("the edit wins" in reason for reason in reasons), (str(person), reasons)


def test_a_whole_folder_of_which_the_operator_says_that_it_was_restored(tmp_path: Path) -> None:
    """As docs/howto/it.md has it."""
    (tmp_path / "town").mkdir()
    with after_a_loss(tmp_path, WHOLE, lives_here=_quiet) as town:
        for file in (town.folder / "witness").iterdir():
            file.write_text("restored 0\n")
        assert [n["code"] for n in town.sync()["notices"]] == ["state_older"]
        town.sync()
        town.idle()
        violations = list(_violations(town))
    assert not violations, "\n".join(violations)


def _violations(town: Town) -> Iterator[str]:
    for person in town.inhabitants:
        yield from (f"{person}: {what}" for what in _violation(town, person))


def _violation(town: Town, person: Person) -> Iterator[str]:
    found = town.found()
    here = {side: found.get((person.name, side), []) for side in Side}
    ids = {item.id for items in here.values() for item in items}
    logged = [c for c in town.engine.conflicts() if ids & {c["item"], c["record"]}]
    yield from _of_one(town, person, here, logged)


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
