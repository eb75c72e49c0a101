"""What one engine of a state has compiled serves the others of the process, and the answers are each database's own."""

from pathlib import Path

import pytest
from sqlalchemy.dialects.postgresql import dialect as postgresql
from sqlalchemy.dialects.sqlite import dialect as sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from crmsync.state.compiled import Compiled
from crmsync.state.database import State
from tests.state.samples import NOW


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each text that SQLAlchemy makes of a statement, in turn."""
    texts: list[str] = []
    init = SQLCompiler.__init__

    def noted(self: SQLCompiler, *arguments: object, **more: object) -> None:
        init(self, *arguments, **more)  # type: ignore[arg-type]
        texts.append(self.string)

    monkeypatch.setattr(SQLCompiler, "__init__", noted)
    return texts


def _used(path: Path, value: str) -> str | None:
    state = State.open(f"sqlite:///{path}?synchronous=off", now=lambda: NOW)
    with state.transaction() as tx:
        tx.cursors.put("a", value)
        tx.cursors.get("a")
    with state.reading() as tx:
        found = tx.cursors.get("a")
    state.close()
    return found


def test_each_state_answers_for_itself_with_what_was_compiled_for_another(
    tmp_path: Path, made: list[str]
) -> None:
    assert _used(tmp_path / "one.db", "1") == "1"
    made.clear()
    assert _used(tmp_path / "two.db", "2") == "2"
    assert _used(tmp_path / "one.db", "3") == "3"
    statements = [text for text in made if "cursor" in text and not text.lstrip().startswith("CREATE")]
    assert statements == []


def test_a_database_of_another_kind_has_its_own_texts() -> None:
    kept = Compiled()
    kept[(sqlite(), "statement")] = "text"
    assert kept.get((sqlite(), "statement")) == "text"
    assert kept.get((postgresql(), "statement")) is None
    assert kept.get((sqlite(), "another")) is None
