"""The real ``crmsync run`` and ``crm serve --replica``, in processes of their own."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.daemon.fakes import eventually
from tests.daemon.replica.test_service import configured, made
from tests.daemon.test_service import Systemd, end, running, said
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm


@pytest.fixture
def systemd(tmp_path: Path) -> Any:
    found = Systemd(tmp_path)
    yield found
    found.close()


def answer(url: str, crm: EmbeddedCrm, query: str) -> Any:
    """Logs in with the password of the CRM and asks."""
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        form = {"grant_type": "password", "client_id": crm.client_id, "client_secret": crm.client_secret,
                "username": crm.sync.username, "password": crm.sync.password}  # fmt: skip
        token = json.loads(
            pool.request("POST", f"{url}/services/oauth2/token", fields=form, encode_multipart=False).data
        )
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        path = f"{url}/services/data/v59.0/query"
        return json.loads(pool.request("GET", path, fields={"q": query}, headers=headers).data)


def names(url: str, crm: EmbeddedCrm, query: str) -> list[str]:
    """None while it is refused: what it has not copied for the first time, a replica does not know."""
    found = answer(url, crm, query)
    return [row["Name"] for row in found["records"]] if isinstance(found, dict) else []


OPEN = "".join(f'{name} = "127.0.0.1:0"\n' for name in ("listen", "listen_tls", "proxy"))


def knows_salesforce_alone(folder: Path, told: str) -> None:
    """A program that hard-codes its address reaches the replica by the proxy, and nothing else."""
    (proxy,) = re.findall(r"the proxy (http://127\.0\.0\.1:\d+)", told)
    place = folder / "tls-main"
    assert f"(its CA: {place}/ca.pem)" in told
    assert (place / "ca.key").stat().st_mode & 0o777 == 0o600
    with urllib3.ProxyManager(proxy, ca_certs=str(place / "ca.pem"), retries=False, timeout=30) as pool:
        assert pool.request("GET", "https://login.salesforce.com/services/data").status == 200
        with pytest.raises(urllib3.exceptions.ProxyError):
            pool.request("GET", "https://www.example.com/")


def test_the_service_answers_as_the_crm_does(tmp_path: Path, systemd: Systemd):
    with embedded_crm(directory=tmp_path / "crm") as crm:
        config = configured(tmp_path, crm)
        config.write_text(config.read_text().replace('interval = "1s"\n', f'interval = "1s"\n{OPEN}'))
        made(crm, "Account", Name="Acme")
        with running(config, systemd) as process:
            eventually(lambda: "action=replica.in_step" in said(config))
            (url,) = re.findall(r"crm\.main answers on (http://\S+)", said(config))
            assert names(url, crm, "SELECT Name FROM Account") == ["Acme"]
            knows_salesforce_alone(tmp_path, said(config))
            process.send_signal(signal.SIGHUP)
            eventually(lambda: said(config).count("action=replica.door.open") == 2)
            assert end(process) == 0
    assert "Traceback" not in said(config)


def test_crm_serve_answers_from_a_replica_and_keeps_it_in_step(tmp_path: Path):
    with embedded_crm(directory=tmp_path / "crm") as crm:
        config = configured(tmp_path, crm)
        made(crm, "Account", Name="Acme")
        command = [sys.executable, "-m", "crmsync.daemon.cli", "--config", str(config), "crm", "serve",
                   "--replica", "main", "--port", "0"]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            lines = []
            try:
                for line in process.stdout:
                    lines.append(line)
                    if "Ctrl-C" in line:
                        break
                url = re.findall(r"http://\S+", "".join(lines))[0]
                eventually(lambda: names(url, crm, "SELECT Name FROM User LIMIT 1") != [])
                eventually(lambda: names(url, crm, "SELECT Name FROM Account") == ["Acme"])
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 0
            finally:
                process.kill()
    assert "The replica of crm.main answers." in "".join(lines)
