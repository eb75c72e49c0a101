"""Two services, each with a state of its own, and one call log: the second one says why it does not start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crmsync.config.load import parse
from crmsync.config.model import Config
from crmsync.daemon.calls import Failure
from crmsync.daemon.telephony.phones import Phones
from tests.daemon.cycle.world import Clock
from tests.daemon.fakes import CONFIG

SECRETS = {"CRM_SECRET": "x", "ALICE_PASSWORD": "x"}
PHONE = """
[softphone]
log = "{folder}/calls.db"
[telephony.desk]
type = "baresip"
port = 1
domain = "127.0.0.1"
"""
TELEPHONE = 'telephone = "desk"\n\n[[account.alice.source]]'


def configured(folder: Path, name: str, *, telephone: bool = True) -> Config:
    own = folder / name
    own.mkdir(exist_ok=True)
    text = CONFIG.format(folder=own)
    if telephone:
        text = text.replace("[[account.alice.source]]", TELEPHONE, 1) + PHONE.format(folder=folder)
    file = own / "config.toml"
    file.write_text(text)
    return parse(text.encode(), file, SECRETS)


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Phones]:
    made = phones(configured(tmp_path, "first"))
    made.claim()
    yield made
    made.close()


def phones(config: Config) -> Phones:
    turns: Any = SimpleNamespace()
    return Phones(config, turns, Clock(), lambda _: None)


def test_the_second_one_refuses_in_words_until_the_first_has_ended(first: Phones, tmp_path: Path):
    second = phones(configured(tmp_path, "second"))
    with pytest.raises(
        Failure, match=r"calls\.db: the call log is busy: process \d+ .*\[softphone\] log"
    ) as told:
        second.claim()
    assert told.value.exit_code == 1
    first.claim()  # ours already
    first.close()
    second.claim()
    second.close()


def test_the_service_does_not_start(first: Phones, tmp_path: Path):
    config = configured(tmp_path, "second")
    command = [
        sys.executable,
        "-m",
        "crmsync.daemon.cli",
        "--config",
        tmp_path / "second" / "config.toml",
        "run",
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **SECRETS}
    )
    assert ended.returncode == 1
    assert "the call log is busy" in ended.stderr
    assert not config.service.socket.exists()


def test_a_telephone_that_comes_with_a_reload_is_not_used_then(first: Phones, tmp_path: Path):
    second = phones(configured(tmp_path, "second", telephone=False))
    second.open()
    second.reopen(configured(tmp_path, "second"))
    assert second.board is None
    assert first.config is not None
    second.close()
