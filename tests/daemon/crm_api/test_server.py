"""Starting, stopping, certificates, and many clients at once."""

import os
import signal
import ssl
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from crmsync.daemon.crm_api.server import CrmServer
from crmsync.state.replica.org import Org, Person
from tests.daemon.crm_api.conftest import Api
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

ORG = Org("Example", (Person("sync@example.com", "sync-password", "Sync", profile="Integration"),), effort=2)
FOREGROUND = """
import sys
from pathlib import Path
from crmsync.daemon.crm_api.server import CrmServer, serve
from crmsync.state.replica.org import Org, Person
place = Path(sys.argv[1])
org = Org("Example", (Person("sync@example.com", "sync-password", "Sync"),))
server = CrmServer(org, f"sqlite:///{place}/crm.db", place / "tls", https=True)
serve(server, announce=lambda urls: print(*urls, flush=True))
server.stop()
print("ended", flush=True)
"""


def test_https_shares_everything_with_http(crm: EmbeddedCrm, api: Api) -> None:
    record_id = api.create("Contact", LastName="shared")
    with urllib3.PoolManager(ca_certs=str(crm.ca_file), retries=False) as pool:
        for host in ("127.0.0.1", "localhost"):
            url = (
                f"{crm.https_url.replace('127.0.0.1', host)}/services/data/v59.0/sobjects/Contact/{record_id}"
            )
            reply = pool.request("GET", url, headers=api.headers)
            assert reply.status == 200


def test_strangers_do_not_trust_it(crm: EmbeddedCrm) -> None:
    with urllib3.PoolManager(retries=False) as pool, pytest.raises(urllib3.exceptions.SSLError):
        pool.request("GET", crm.https_url)


def test_private_keys_are_private(crm: EmbeddedCrm) -> None:
    directory = crm.ca_file.parent
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in directory.iterdir()) == [
        "ca.key",
        "ca.pem",
        "server.key",
        "server.pem",
    ]
    assert b"PRIVATE" not in crm.ca_file.read_bytes() + (directory / "server.pem").read_bytes()
    context = ssl.create_default_context(cafile=str(crm.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with urllib3.PoolManager(ssl_context=context, retries=False) as pool:
        assert pool.request("GET", f"{crm.https_url}/services/data").status == 200


def test_records_survive_a_restart_and_sessions_do_not(tmp_path: Path) -> None:
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        record_id = api.create("Contact", LastName="stays")
        port = int(crm.url.rpartition(":")[2])
    with embedded_crm(directory=tmp_path, port=port) as crm, urllib3.PoolManager(retries=False) as pool:
        assert Api(crm, pool, api.headers)("GET", "").status == 401
        again = Api(crm, pool).as_user(crm.sync)
        assert again("GET", f"sobjects/Contact/{record_id}").json["LastName"] == "stays"
        assert again.crm.url.endswith(str(port))


def test_a_port_that_is_taken(crm: EmbeddedCrm, tmp_path: Path) -> None:
    port = int(crm.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        CrmServer(ORG, f"sqlite:///{tmp_path}/crm.db", tmp_path, port=port)


def test_sessions_expire_everywhere_at_once(api: Api) -> None:
    assert api("GET", "").status == 200
    api.crm.crm.sessions.end_all()
    assert (api("GET", "").status, api("GET", "").code) == (401, "INVALID_SESSION_ID")


def test_many_clients_at_once(api: Api) -> None:
    def work(number: int) -> str:
        record_id = api.create("Contact", LastName=f"c{number}")
        assert api("PATCH", f"sobjects/Contact/{record_id}", {"Phone": str(number)}).status == 204
        found = api("GET", "query", q=f"SELECT Phone FROM Contact WHERE Id = '{record_id}'").json
        assert found["records"][0]["Phone"] == str(number)
        return record_id

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(work, range(60)))) == 60


@pytest.mark.server
def test_in_the_foreground_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOREGROUND, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, https_url = process.stdout.readline().split()
        assert https_url.startswith("https://127.0.0.1:")
        with urllib3.PoolManager(retries=False) as pool:
            assert pool.request("GET", f"{url}/services/data").status == 200
            os.kill(process.pid, signal.SIGTERM)
            assert process.stdout.readline() == "ended\n"
        assert process.wait(30) == 0
