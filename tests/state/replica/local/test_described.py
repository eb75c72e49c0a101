"""What the web services make of an upstream's describes: what the upstream itself says."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.state.replica import describe
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Saved
from crmsync.state.replica.ids import new_id
from crmsync.state.replica.layouts import layout_of
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.querying import Queries
from tests.state.replica.local.test_shape import REAL

ME = Identity(new_id("00D", 1), new_id("005", 1))
CALLER = Caller(ME.user, all_records=True)
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LocalDatabase]:
    made = LocalDatabase(f"sqlite:///{tmp_path / 'replica.db'}", durable=False)
    yield made
    made.close()


def store_of(database: LocalDatabase) -> LocalStore:
    return LocalStore(database, lambda: ME, clock=lambda: NOW)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs real describe replies, in $CRMSYNC_SHARED/salesforce")
def test_real_describes_come_out_as_they_went_in(database: LocalDatabase):
    replies = {
        r["name"]: r for r in (json.loads(f.read_text()) for f in sorted(REAL.glob("*.describe.json")))
    }
    database.learn(replies)
    store = store_of(database)
    queries = Queries(store, clock=lambda: NOW)
    for name, reply in replies.items():
        type_ = store.schema.objects[name]
        told = describe.describe_object(store.schema, type_, "/services/data/v59.0", "https://localhost")
        assert told.keys() == reply.keys()
        assert (told["fields"], told["childRelationships"]) == (reply["fields"], reply["childRelationships"])
        assert told["urls"].keys() == reply["urls"].keys()
        assert layout_of(store.schema, type_)["layouts"]
        assert queries.query(CALLER, f"SELECT FIELDS(ALL) FROM {name} LIMIT 200", "/b").total == 0


def test_a_field_that_the_upstream_does_not_filter_is_not_filtered_here(database: LocalDatabase):
    schema = standard()
    reply = describe.describe_object(schema, schema.objects["Account"], "/services/data/v59.0", "https://crm")
    for field in reply["fields"]:
        field["filterable"] = field["filterable"] and field["name"] != "Phone"
    database.learn({"Account": reply})
    store = store_of(database)
    (made,) = store.create(CALLER, [("account", {"name": "Acme", "phone": "1"})])
    assert isinstance(made, Saved)
    queries = Queries(store, clock=lambda: NOW)
    assert queries.query(CALLER, f"SELECT Phone FROM Account WHERE Id = '{made.id[:15]}'", "/b").total == 1
    with pytest.raises(Fault, match="can not be filtered"):
        queries.query(CALLER, "SELECT Id FROM Account WHERE Phone = '1'", "/b")
