"""Tables from kept statements are those that SQLAlchemy would make."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from crmsync.state.replica.database import Database
from crmsync.state.replica.indexing import names
from crmsync.state.replica.making import make
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.soql.collation import ignore_case
from tests.state.replica.conftest import empty_schema


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return empty_schema(request.getfixturevalue("server"))
    return f"sqlite:///{tmp_path / 'crm.db'}"


def _there(connection: sa.Connection) -> dict[str, list[str]]:
    found = sa.inspect(connection)
    return {name: [repr(column) for column in found.get_columns(name)] for name in found.get_table_names()}


def test_they_are_those_that_sqlalchemy_makes(url: str) -> None:
    database = Database(url, standard(), durable=False)
    metadata = database.tables["Contact"].metadata
    with database.write() as connection:
        made, indexes = _there(connection), names(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert (made, indexes) == (_there(connection), names(connection))
    database.close()


def test_what_is_there_stays_and_what_is_missing_comes(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    ignore_case(engine)
    metadata = sa.MetaData()
    one = sa.Table("one", metadata, sa.Column("a", sa.Integer, primary_key=True))
    sa.Table(
        "two",
        metadata,
        sa.Column("b", sa.ForeignKey(one.c.a), primary_key=True),
        sa.Column("c", sa.Text, index=True),
    )
    with engine.begin() as connection:
        assert make(connection, metadata) == frozenset()
        connection.execute(one.insert().values(a=1))
        connection.exec_driver_sql("DROP TABLE two")
        assert make(connection, metadata) == {"one"}
        assert connection.execute(sa.select(one.c.a)).scalars().all() == [1]
        assert "ix_two_c" in names(connection)
    engine.dispose()


def test_databases_with_one_schema_have_one_set_of_tables(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path / name}", standard(), durable=False) for name in "ab")
    assert first.tables["Contact"] is second.tables["Contact"]
    first.close()
    second.close()
