"""What is asked with every request is read when somebody has written, or a moment later."""

import pytest

from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.glance import Glance
from crmsync.state.replica.local.rows import Work
from tests.state.replica.local.conftest import Desk


def test_what_is_written_here_is_seen_at_once_and_what_others_write_soon(desk: Desk):
    now = [100.0]
    reads: list[str | None] = []

    def mode(work: Work) -> str | None:
        reads.append(work.property("mode"))
        return reads[-1]

    glance = Glance(desk.database, mode, 0.5, lambda: now[0])
    other = LocalDatabase(desk.url, durable=False)
    assert [glance(), glance(), len(reads)] == [None, None, 1]
    with desk.database.write() as work:
        work.set_property("mode", "offline")
    assert [glance(), glance(), len(reads)] == ["offline", "offline", 2]
    with other.write() as work:
        work.set_property("mode", "online")
    now[0] += 0.4
    assert (glance(), len(reads)) == ("offline", 2)
    now[0] += 0.2
    assert (glance(), len(reads)) == ("online", 3)
    other.close()


def test_a_write_that_was_rolled_back_and_no_seconds(desk: Desk):
    glance = Glance(desk.database, lambda work: work.property("mode"), 0.0)

    def broken() -> None:
        with desk.database.write() as work:
            work.set_property("mode", "offline")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert glance() is None


def test_only_records_that_were_made_again_mean_others(desk: Desk):
    made = desk.arrive("Account", Name="Acme")
    with desk.database.write() as work:
        aliases = work.shared.aliases
        work.connection.execute(aliases.insert().values(old=made, new="001z00000000001AAA"))
        work.connection.execute(aliases.insert().values(old="001z00000000002AAA", new="001000000000009AAA"))
        assert work.reborn() == {made}
