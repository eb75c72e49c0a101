"""The real ``crmsync run`` with a replica, in a process of its own."""

import json
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from crmsync.daemon.crm_api.crm import system_clock
from crmsync.state.errors import Locked
from crmsync.state.locks import FileLocks
from crmsync.state.replica.faults import Saved
from tests.daemon.fakes import CONFIG, eventually
from tests.daemon.test_service import Systemd, end, once, running, said
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

SETTINGS = '\nreplica = true\n\n[crm.main.replica_settings]\ninterval = "1s"\n'


@pytest.fixture
def systemd(tmp_path: Path) -> Any:
    made = Systemd(tmp_path)
    yield made
    made.close()


def configured(folder: Path, crm: EmbeddedCrm) -> Path:
    """A mailbox that nobody answers for, and a CRM with a replica."""
    file = folder / "config.toml"
    text = CONFIG.format(folder=folder).replace('url = "http://127.0.0.1:9"', f'url = "{crm.url}"')
    text = text.replace('client_id = "client"', f'client_id = "{crm.client_id}"')
    text = text.replace(
        'client_secret_env = "CRM_SECRET"', f'client_secret = "{crm.client_secret}"{SETTINGS}'
    )
    file.write_text(text)
    return file


def made(crm: EmbeddedCrm, name: str, **values: Any) -> str:
    store = crm.crm.store
    (outcome,) = store.create(store.caller(crm.sync.id), [(name, values)])
    assert isinstance(outcome, Saved), outcome
    return outcome.id


def replica(config: Path) -> dict[str, Any]:
    answer = once(config, "status", "--json")
    (one,) = json.loads(answer.stdout)["replicas"]
    return one


def held(file: Path) -> ExitStack:
    """Its lock, once the service's pass is over."""
    stack = ExitStack()

    def free() -> bool:
        with suppress(Locked):
            stack.enter_context(FileLocks(file, system_clock).replica())
            return True
        return False

    eventually(free)
    return stack


def test_it_is_filled_beside_a_mailbox_that_fails(tmp_path: Path, systemd: Systemd):
    with embedded_crm(directory=tmp_path / "crm") as crm:
        config = configured(tmp_path, crm)
        made(crm, "Account", Name="Acme")
        with running(config, systemd) as process:
            eventually(lambda: "action=replica.in_step" in said(config))
            process.send_signal(signal.SIGHUP)  # its passes go on after that
            systemd.wait_for(READY="1")
            with held(tmp_path / "replica-main.db"):
                refused = once(config, "crm", "replica", "sync", "--json")
            assert refused.returncode == 1
            assert "the replica is busy: process" in json.loads(refused.stdout)["errors"][0]["message"]
            one = replica(config)
            assert one["acting"] == "hybrid"
            assert one["light"] in ("in_step", "syncing")
            assert end(process) == 0
    assert "Traceback" not in said(config)
    assert (tmp_path / "replica-main.db").stat().st_mode & 0o777 == 0o600
    failed = once(config, "crm", "replica", "sync", "--json")  # alone, and the CRM is gone
    assert (failed.returncode, json.loads(failed.stdout)["errors"][0]["code"]) == (1, "unreachable")
    assert replica(config)["light"] == "offline"
