"""A replica that stands in PostgreSQL: beside others in one database, and when the server goes away in the middle."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crmsync.config.load import load
from crmsync.daemon.app import build
from crmsync.daemon.replica import standing
from crmsync.daemon.replica.context import Stage
from crmsync.daemon.replica.doors import Doors
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.replicas import Place as Door
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.serving import verifier, web_services
from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.opening import Place
from tests.daemon.losses.test_lost_locks import end_sessions
from tests.daemon.losses.test_postgresql import empty
from tests.daemon.replica.bench import OBJECTS, Bench, Cable, Killed, bench
from tests.daemon.replica.office import office
from tests.daemon.replica.test_modes import Api
from tests.daemon.replica.test_outage import Script
from tests.daemon.replica.test_service import configured
from tests.servers.postgresql import PostgreSQL, postgresql_server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def running() -> Iterator[PostgreSQL]:
    with postgresql_server() as server:
        yield server


@pytest.fixture
def server(running: PostgreSQL) -> PostgreSQL:
    """With nothing in it."""
    empty(running.url)
    execute(running, *(f'DROP SCHEMA IF EXISTS "{name}" CASCADE' for name in schemas(running)))
    return running


@pytest.fixture
def opened(shared: Bench, server: PostgreSQL) -> Iterator[Callable[..., Keeper]]:
    """Replicas of the bench's CRM, as so many processes would open them."""
    made: list[Keeper] = []

    def keeper(name: str = "main", url: str = "") -> Keeper:
        settings, cable = Settings(OBJECTS), Cable(shared.between)
        made.append(Keeper(name, url or server.url, settings, lambda: cable, now=shared.clock))
        return made[-1]

    yield keeper
    for one in made:
        one.close()


def execute(server: PostgreSQL, *statements: str) -> list[Any]:
    """What the last one finds."""
    engine = sa.create_engine(server.url)
    try:
        with engine.begin() as connection:
            found = [connection.exec_driver_sql(statement) for statement in statements]
            return list(found[-1].scalars()) if found and found[-1].returns_rows else []
    finally:
        engine.dispose()


def schemas(server: PostgreSQL) -> list[str]:
    return execute(server, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'crmsync_%%' ORDER BY 1")


def test_both_agree_after_an_outage(tmp_path: Path, server: PostgreSQL):
    with bench(tmp_path, database_url=server.url) as made:
        script = Script(made, random.Random(3))
        script.begin()
        script.offline(60)
        for stage in (Stage.SERVER_DELETES, Stage.UPDATES, Stage.FINISH):
            made.kill = lambda at, what, stage=stage: at is stage
            with pytest.raises(Killed):
                made.run()
            made.reopen()
        made.kill = lambda at, what: False
        made.run()
        script.settle_everything()
        script.check()


def test_several_and_the_state_share_a_database(shared: Bench, server: PostgreSQL, opened: Any):
    long = "a" * 40
    account = shared.there_create("Account", Name="Acme")
    State.open(server.url, now=shared.clock).close()
    one, other, third = opened("main"), opened("my-crm"), opened(long)
    for keeper in (one, other, third):
        keeper.sync()
    one.choose_mode(Mode.OFFLINE)
    one.update(account, {"Phone": "here"})
    assert other.read(account)["Phone"] is None
    assert schemas(server) == [f"crmsync_replica_{long}", "crmsync_replica_main", "crmsync_replica_my-crm"]
    assert "Account" not in execute(server, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


def test_names_that_postgresql_cannot_hold_stay_apart():
    one, other = (Place.of("postgresql://h/d", f"{'a' * 60}{n}").schema for n in "12")
    assert one != other
    assert (len(one), len(other)) == (63, 63)


def test_one_pass_at_a_time(shared: Bench, opened: Any):
    """Whichever process begins it. A replica of another name minds its own business."""
    one, other = opened(), opened()
    account = shared.there_create("Account", Name="Acme")
    with one.database.alone(shared.clock):
        with pytest.raises(Locked, match="the replica is busy: another session"):
            other.sync()
        opened("another").sync()
    other.sync()
    assert other.read(account)["Name"] == "Acme"


@pytest.mark.parametrize("loss", ["sessions ended", "server restarted"])
def test_a_pass_that_lost_its_turn_sends_nothing_more(
    shared: Bench, server: PostgreSQL, opened: Any, loss: str
):
    """Another process may have it by then."""
    one, other = opened(), opened()
    account = shared.there_create("Account", Name="Acme", Phone="1")
    one.sync()
    one.choose_mode(Mode.OFFLINE)
    one.create("Contact", {"LastName": f"Born once, {loss}"})
    one.update(account, {"Phone": "2"})
    one.choose_mode(None)

    def lose(stage: Stage, what: str) -> None:
        if stage is Stage.CREATES:
            end_sessions(server) if loss == "sessions ended" else server.restart()

    shared.between.calls.clear()
    with pytest.raises(StateError, match="the lock on the replica was lost") as found:
        one.sync(lose)
    assert "nothing more was written" in found.value.hint
    assert shared.between.calls == []
    with other.database.alone(shared.clock), pytest.raises(Locked):
        one.sync()
    shared.clock.advance(minutes=2)
    one.sync()
    assert shared.there("Account")[account]["Phone"] == "2"
    born = [row for row in shared.there("Contact").values() if row["LastName"] == f"Born once, {loss}"]
    assert len(born) == 1


def test_a_server_that_is_away_is_said_in_words(shared: Bench, server: PostgreSQL, opened: Any):
    keeper = opened(url=server.url.replace("crmsync@", "crmsync:sesame@"))
    keeper.sync()
    server.close()
    try:
        shown = standing.of(keeper, shared.clock())
        with pytest.raises(StateError, match="schema crmsync_replica_main failed") as said:
            keeper.sync()
    finally:
        server.start()
    assert shown["light"] == "failing"
    assert "psql" in said.value.hint
    assert "sesame" not in f"{shown} {said.value} {keeper.place!r} {keeper.place}"
    keeper.sync()  # as soon as it is back


def test_who_may_make_no_schema_is_told_to_have_one_made(server: PostgreSQL, shared: Bench, opened: Any):
    execute(server, "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")
    keeper = opened(url=server.url.replace("crmsync@", "poor@"))
    try:
        with pytest.raises(StateError, match="no write access to PostgreSQL") as found:
            keeper.sync()
        assert 'CREATE SCHEMA "crmsync_replica_main" AUTHORIZATION' in found.value.hint
        execute(server, 'CREATE SCHEMA "crmsync_replica_main" AUTHORIZATION poor')
        assert keeper.sync().passes == 1
    finally:
        execute(server, 'DROP SCHEMA IF EXISTS "crmsync_replica_main" CASCADE', "DROP ROLE poor")


@pytest.mark.parametrize(
    ("url", "words"),
    [("postgresql+psycopg://h:port/d", "cannot be read"), ("mysql://u:sesame@h/d", "begins with mysql:")],
)
def test_a_url_that_cannot_be(url: str, words: str):
    with pytest.raises(StateError, match=words) as found:
        LocalDatabase(Place.of(url, "main"))
    assert "sesame" not in str(found.value)


def test_the_web_services_on_it(tmp_path: Path, server: PostgreSQL):
    with office(tmp_path, database_url=server.url) as here:
        made = here.there_create("Account", Name="Äpfel & Co", Phone="1")
        here.run()
        api = Api(here)
        query = "query/?q=SELECT+Id,Phone+FROM+Account+WHERE+Name+LIKE+'%25äpfel%25'+ORDER+BY+Name"
        assert [row["Id"] for row in api("GET", query)[1]["records"]] == [made]
        assert api("PATCH", f"sobjects/Account/{made}", {"Phone": "2"})[0] == 204
        assert here.there("Account")[made]["Phone"] == "2"
        end_sessions(server)
        assert api("GET", f"sobjects/Account/{made}")[1]["Phone"] == "2"
        server.close()
        try:
            status, (told,) = api("GET", query)
        finally:
            server.start()
        assert (status, told["errorCode"]) == (503, "SERVER_UNAVAILABLE")
        assert "127.0.0.1" not in told["message"]
        assert api("GET", query)[0] == 200


def test_as_it_is_configured(tmp_path: Path, server: PostgreSQL, shared: Bench):
    file = configured(tmp_path, shared.crm)
    url = f'url = "{server.url.replace("crmsync@", "crmsync:sesame@")}"'
    text = file.read_text()
    file.write_text(text.replace("replica_settings]", f"replica_settings]\n{url}"))
    shared.there_create("Account", Name="Acme")
    engine = build(load(file, {}), now=shared.clock)
    try:
        (done,) = engine.replicas.replica_sync()["replicas"]
        (checked,) = engine.replicas.check()
    finally:
        engine.close()
    assert done["pulled"] > 0
    assert (checked["ok"], "schema crmsync_replica_main" in checked["message"]) == (True, True)
    assert "sesame" not in str(checked)


def test_a_door_opens_when_the_database_has_come(
    server: PostgreSQL, opened: Any, shared: Bench, caplog: pytest.LogCaptureFixture
):
    keeper, doors = opened(), Doors()
    verify = verifier(lambda: pytest.fail("nobody logs in"), "")
    services = {"main": lambda: web_services(keeper, verify, now=shared.clock)}
    replicas = Replicas({"main": keeper}, shared.clock, services, {"main": Door("127.0.0.1", 0)})
    server.close()
    try:
        doors.follow(replicas)
        doors.again()
    finally:
        server.start()
    assert doors.urls == {}
    assert [r.getMessage().count("is not served") for r in caplog.records if r.levelname == "ERROR"] == [1]
    doors.again()
    assert list(doors.urls) == ["main"]
    doors.close()
    doors.again()
    assert doors.urls == {}
