"""The passes of ``crm serve --replica``: they go on, whatever one of them ends with."""

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.serving import Passes
from tests.daemon.replica.bench import Clock


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("the pass left rows behind: Account"), "a defect of crmsync (AssertionError)"),
        (sa.exc.OperationalError("", {}, sqlite3.OperationalError("disk I/O error")), "disk I/O error"),
    ],
)
def test_a_pass_that_fails_is_not_the_last_one(tmp_path: Path, error: Exception, said: str):
    tried = threading.Semaphore(0)
    told: list[str] = []

    def connect() -> Any:
        tried.release()
        raise error

    settings = replace(Settings(("Account",)), interval=timedelta(milliseconds=1))
    keeper = Keeper("main", tmp_path / "kept.db", settings, connect, now=Clock(), durable=False)
    with Passes(Replicas({"main": keeper}, Clock()), keeper, told.append):
        for _ in range(3):
            assert tried.acquire(timeout=30)
    keeper.close()
    assert len(told) == 1
    assert said in told[0]


def test_a_replica_that_cannot_be_opened_keeps_no_other_ones_old_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 300)

    def connect() -> Any:
        raise AssertionError("nobody is asked")

    def keeper(name: str) -> Keeper:
        return Keeper(name, tmp_path / f"{name}.db", Settings(("Account",)), connect, now=Clock())

    both = Replicas({name: keeper(name) for name in ("broken", "main")}, Clock())
    assert both.tidy(Clock()()) == 0
    both.close()
    said = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "replica.untidy"]
    assert len(said) == 1
    assert "crm.broken" in said[0]
