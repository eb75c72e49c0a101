"""PostgreSQL's locks end with the session that took them, also when that is not our doing: whoever holds one finds out
before anything more is written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from crmsync.connectors.memory.faults import Faults
from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from tests.daemon.cycle.world import World
from tests.daemon.fakes import CONFIG
from tests.daemon.losses.test_postgresql import Elsewhere, empty
from tests.daemon.test_service import Systemd, running, said
from tests.servers.postgresql import PostgreSQL, postgresql_server


class Interrupted(Faults):
    """Something happens in the middle of a sync."""

    def __init__(self, operation: str, act: Callable[[], None], *, after: bool) -> None:
        super().__init__()
        self._moment = operation, after
        self._act = [act]

    def before(self, operation: str, detail: str) -> None:
        super().before(operation, detail)
        self._perhaps(operation, after=False)

    def after(self, operation: str, detail: str) -> None:
        self._perhaps(operation, after=True)
        super().after(operation, detail)

    def _perhaps(self, operation: str, *, after: bool) -> None:
        if (operation, after) == self._moment and self._act:
            self._act.pop()()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql_server() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, server: PostgreSQL) -> Iterator[World]:
    empty(server.url)
    world = Elsewhere(tmp_path, server.url)
    yield world
    world.close()


def end_sessions(server: PostgreSQL, pids: Sequence[int] = ()) -> None:
    """All, or these: as an administrator, a failover or a firewall between them does it."""
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    which = f"{others} AND pid = ANY(:pids)" if pids else others
    engine = create_engine(server.url)
    with engine.begin() as connection:
        connection.execute(
            text(f"SELECT pg_terminate_backend(pid, 10000) {which}"), {"pids": list(pids)} if pids else {}
        )
    engine.dispose()


LOSSES = {"sessions ended": end_sessions, "server restarted": lambda server: server.restart()}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("side", "operation", "after"),
    [("ecs", "changes", True), ("crm", "search", True), ("ecs", "create", False), ("crm", "create", True)],
)
def test_a_sync_that_lost_its_lock_stops_before_it_writes_anything_more(
    world: World, server: PostgreSQL, loss: str, side: str, operation: str, after: bool
) -> None:
    """Another process may have the account by then."""
    world.sync()
    world.person(job_title="Analyst")
    world.record()
    noticed: list[int] = []

    def lose() -> None:
        LOSSES[loss](server)
        noticed.append(_calls(world))

    where = world.ecs if side == "ecs" else world.crm
    where.faults = Interrupted(operation, lose, after=after)
    report = world.sync()
    assert noticed
    (error,) = report["errors"]
    assert (error["code"], error["retry"]) == ("state_failed", True)
    assert "the lock on account alice was lost" in error["message"]
    # a batch that is on its way arrives; nothing else is begun
    assert _calls(world) <= noticed[0] + (0 if after else 1)
    where.faults = Faults()
    world.clock.tick(3600)
    assert world.sync()["errors"] == []
    assert len(world.cards()) == len(world.contacts()) == 2
    world.idle()


def _calls(world: World) -> int:
    return sum(
        s.faults.calls[what] for s in (world.ecs, world.crm) for what in ("create", "update", "delete")
    )


def test_what_was_begun_under_a_lock_is_not_committed_without_it(world: World, server: PostgreSQL) -> None:
    def write(key: str, then: Callable[[], None] = lambda: None) -> None:
        with world.state.transaction() as tx:
            tx.meta.put(key, "stands")
            then()

    with world.state.lock("alice"):
        write("before")
        with pytest.raises(StateError, match="the lock on account alice was lost"):
            write("after", lambda: end_sessions(server))
    with world.state.reading() as tx:
        assert [tx.meta.get(key) for key in ("before", "after")] == ["stands", None]


def test_a_lock_that_was_lost_stays_lost_until_it_is_taken_again(world: World, server: PostgreSQL) -> None:
    with world.state.lock("alice"):
        end_sessions(server)
        for _ in range(2):
            with pytest.raises(StateError, match="lost"), world.state.transaction() as tx:
                tx.meta.put("never", "written")
    with world.state.lock("alice"), world.state.transaction() as tx:
        tx.meta.put("again", "it works")


def test_each_of_several_locks_counts(world: World, server: PostgreSQL) -> None:
    with world.state.lock("alice"):
        first = _sessions_with_locks(server)
        with world.state.lock("bob"):
            with world.state.transaction() as tx:
                tx.meta.put("both", "held")
            end_sessions(server, first)
            with pytest.raises(StateError, match="account alice was lost"), world.state.transaction():
                pytest.fail("it has begun")


def _sessions_with_locks(server: PostgreSQL) -> list[int]:
    engine = create_engine(server.url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")).scalars()
        pids = list(found)
    engine.dispose()
    return pids


def test_a_thread_that_holds_none_writes_on(world: World, server: PostgreSQL) -> None:
    """Queue rows that a command makes, say, while the service syncs."""
    end_sessions(server)
    with world.state.transaction() as tx:
        tx.meta.put("anything", "else")


def test_a_service_takes_its_lock_again_or_learns_who_has_it(world: World, server: PostgreSQL) -> None:
    other = State.open(server.url, now=world.clock)
    try:
        with world.state.exclusive() as claim:
            claim.renew()
            end_sessions(server)
            claim.renew()
            with pytest.raises(Locked), other.exclusive():
                pass
            end_sessions(server)
            with other.exclusive(), pytest.raises(Locked, match="the service of this state is busy"):
                claim.renew()
    finally:
        other.close()


@pytest.mark.timeout(120)
def test_a_service_whose_place_was_taken_stops_in_words(
    world: World, server: PostgreSQL, tmp_path: Path
) -> None:
    systemd, config = Systemd(tmp_path), tmp_path / "config.toml"
    text = CONFIG.format(folder=tmp_path).replace(f"sqlite:///{tmp_path}/state.db", server.url)
    config.write_text(f'{text}\n[schedule]\ninterval = "1s"\n')
    try:
        with running(config, systemd) as process, taken(world.state, server):
            assert process.wait(60) == 1
    finally:
        systemd.close()
    log = said(config)
    assert "this state is not this service's any more" in log
    assert "action=service.stopped" in log
    assert "Traceback" not in log


@contextmanager
def taken(state: State, server: PostgreSQL) -> Iterator[None]:
    """The place of the service, before it can take it back."""
    while True:
        end_sessions(server)
        try:
            with state.exclusive():
                yield
            return
        except Locked:
            continue
