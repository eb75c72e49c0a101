"""A replica sends and fetches when the CRM says so."""

import json
from pathlib import Path

import pytest

from crmsync.daemon.demo.child import free_port
from tests.daemon.fakes import eventually
from tests.daemon.replica.test_service import Systemd, configured, made
from tests.daemon.test_cli_exchange import EXCHANGE, SECRET, ask, jobs_of
from tests.daemon.test_service import end, once, running, said
from tests.servers.embedded_crm import embedded_crm


def test_a_pass_comes_with_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_SECRET", SECRET)
    systemd, port = Systemd(tmp_path), free_port()
    with embedded_crm(directory=tmp_path / "crm") as crm:
        config = configured(tmp_path, crm)
        config.write_text(config.read_text() + EXCHANGE.format(port=port))
        made(crm, "Account", Name="Acme")
        with running(config, systemd) as process:
            refused = once(config, "crm", "replica", "sync")
            assert (refused.returncode, "only when the CRM's scheduler asks" in refused.stderr) == (1, True)
            assert "action=replica.in_step" not in said(config)
            assert ask(port, SECRET)[0] == 202
            eventually(lambda: jobs_of(config)[0]["state"] in ("done", "failed"))
            (job,) = jobs_of(config)
            assert job["result"]["replicas"]["main"]["pulled"] > 0, json.dumps(job)
            assert "action=replica.in_step" in said(config)
            assert end(process) == 0
    systemd.close()
