import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from crmsync.state.database import State, StateError
from crmsync.state.migrations import HEAD, VERSION_TABLE
from crmsync.state.opening import engines, parse
from crmsync.state.tables import metadata
from tests.state.samples import NOW

HELD = """INSERT INTO held (id, account, what, kind, side, item, record, reason, candidates, cycle, at, state)
VALUES (7, 'alice', 'match', 'contact', 'crm', '1.vcf', '', 'several', '["003"]', 1, 0, 'held')"""
OPTIONS = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}


def test_the_steps_lead_to_the_tables(url: str) -> None:
    engine, _ = engines(parse(url))
    _step(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), metadata) == []
    engine.dispose()


def test_on_sqlite_even_to_the_same_words(tmp_path: Path) -> None:
    """The comparison above knows nothing of AUTOINCREMENT or ON DELETE."""
    stepped, made = tmp_path / "stepped.db", tmp_path / "made.db"
    State.open(f"sqlite:///{made}", now=lambda: NOW).close()
    engine = create_engine(f"sqlite:///{stepped}")
    _step(engine)
    engine.dispose()
    assert _words(stepped) == _words(made)


def test_a_new_database_is_made_without_alembic(tmp_path: Path) -> None:
    """To load it takes longer than all that a first command does with the state."""
    script = (
        "import sys; from datetime import UTC, datetime; from crmsync.state.database import State\n"
        f"State.open('sqlite:///{tmp_path / 'state.db'}', now=lambda: datetime.now(UTC)).close()\n"
        "print([m for m in sys.modules if m.startswith('alembic')])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_what_stands_under_our_names_already_is_not_taken_for_ours(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE queue (colour TEXT)")
    with pytest.raises(StateError, match="queue"):
        State.open(url, now=lambda: NOW)
    with engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
    engine.dispose()
    assert names == ["queue"]


def _step(engine: Engine) -> None:
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _words(path: Path) -> dict[str, str]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        words = {row.name: row.sql for row in rows}
    engine.dispose()
    return words


def test_the_last_step_is_known_without_alembic() -> None:
    assert ScriptDirectory.from_config(_config()).get_heads() == [HEAD]


@pytest.mark.parametrize("revision", ["0001", "0003"])
def test_a_database_of_an_older_version_is_brought_up_to_date_with_what_is_in_it(
    tmp_path: Path, revision: str
) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql("INSERT INTO cursors (scope, cursor) VALUES ('alice', '1')")
        connection.exec_driver_sql(HELD)
    engine.dispose()
    with pytest.raises(StateError, match="older version"):
        State.open(url, now=lambda: NOW, migrate=False)
    state = State.open(url, now=lambda: NOW)
    with state.reading() as tx:
        assert tx.cursors.get("alice") == "1"
        (held,) = tx.held.listing()
        assert (held.id, held.collection, held.item, held.candidates) == (7, "", "1.vcf", ["003"])
        assert compare_metadata(MigrationContext.configure(tx.connection, opts=OPTIONS), metadata) == []
    state.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "crmsync.state:migrations")
    config.set_main_option("path_separator", "os")
    return config


def test_a_database_of_a_newer_version_is_left_alone(url: str, state: State) -> None:
    with state.transaction() as tx:
        tx.cursors.put("alice", "1")
        tx.connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for migrate in (True, False):
        with pytest.raises(StateError, match="newer version of crmsync") as refusal:
            State.open(url, now=lambda: NOW, migrate=migrate)
        assert "install that version" in refusal.value.hint
    with state.transaction() as tx:
        assert tx.cursors.get("alice") == "1"
        tx.connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'")
    State.open(url, now=lambda: NOW).close()


def test_without_leave_to_migrate_an_empty_database_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="empty"):
        State.open(url, now=lambda: NOW, migrate=False)
    State.open(url, now=lambda: NOW).close()
    State.open(url, now=lambda: NOW, migrate=False).close()


def test_two_threads_may_open_a_new_state_at_once(url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: State.open(url, now=lambda: NOW), range(4)))
    for state in opened:
        state.close()
