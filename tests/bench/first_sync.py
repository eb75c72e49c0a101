"""``make bench``: what a first sync, an idle one and one with a few edits cost, in requests and CPU time per item.

Contacts on a real Radicale, the embedded CRM, and ``crmsync sync`` as a process of its own; the CPU time is that of
this process alone, less what it takes to start and open the state. Counts are exact; times depend on the machine, so
compare two runs on the same one.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.radicale import radicale

CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"
[service]
socket = "{folder}/control.sock"
[crm.main]
type = "salesforce"
url = "{crm.url}"
client_id = "{crm.client_id}"
client_secret_env = "BENCH_CLIENT_SECRET"
username = "{crm.sync.username}"
password_env = "BENCH_CRM_PASSWORD"
external_id = "Crmsync_Id__c"
[account.alice]
crm = "main"
crm_user = "{crm.alice.username}"
[[account.alice.source]]
type = "carddav"
url = "{dav}"
username = "alice"
password_env = "BENCH_DAV_PASSWORD"
"""

CARD = """BEGIN:VCARD
VERSION:3.0
UID:bench-{number}
FN:Ada Example {number}
N:Example {number};Ada;;;
TITLE:Sample {round}
EMAIL;TYPE=WORK:ada.{number}@example.com
TEL;TYPE=CELL:+44 20 7946 {number:04}
ADR;TYPE=WORK:;;{number} Sample Way;Exampletown;;12345;Germany
X-KEPT:as it is
CATEGORIES:CRM
END:VCARD
""".replace("\n", "\r\n")


@dataclass(frozen=True)
class Cost:
    what: str
    items: int
    requests: int
    writes: int
    cpu: float  # seconds


@dataclass(frozen=True)
class Bench:
    folder: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> tuple[Any, float]:
        """The JSON answer and the CPU seconds of one command."""
        command = [
            sys.executable,
            "-m",
            "crmsync.daemon.cli",
            "--config",
            str(self.folder / "config.toml"),
            *arguments,
        ]
        before = _cpu()
        result = subprocess.run(command, env=self.environ, capture_output=True, text=True)
        if result.returncode != 0:
            raise SystemExit(
                f"{' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
            )
        return json.loads(result.stdout), _cpu() - before

    def sync(self, what: str, items: int) -> Cost:
        _, start = self.run("status", "--json")
        answer, cpu = self.run("sync", "--json")
        requests = sum(cycle["requests"] for cycle in answer["cycles"])
        return Cost(what, items, requests, answer["writes"], max(cpu - start, 0.0))


def _cpu() -> float:
    """Of the processes that we have waited for: the servers are not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def put(dav: DavServer, book: str, numbers: range, round: int) -> None:
    for number in numbers:
        dav.put(f"{book}{number}.vcf", CARD.format(number=number, round=round))


def measure(dav: DavServer, crm: EmbeddedCrm, folder: Path, items: int) -> list[Cost]:
    book = dav.make_book()
    (folder / "config.toml").write_text(CONFIG.format(folder=folder, crm=crm, dav=dav.principal_url()))
    secrets = {
        "BENCH_CLIENT_SECRET": crm.client_secret,
        "BENCH_CRM_PASSWORD": crm.sync.password,
        "BENCH_DAV_PASSWORD": dav.login()[1],
    }
    bench = Bench(folder, {**os.environ, **secrets})
    put(dav, book, range(items), 0)
    first = bench.sync("first sync", items)
    idle = bench.sync("idle sync", items)
    edited = max(items // 10, 1)
    put(dav, book, range(edited), 1)
    return [first, idle, bench.sync("a tenth edited", edited)]


def show(costs: list[Cost]) -> None:
    print(f"{'':<16}{'items':>7}{'requests':>10}{'per item':>10}{'writes':>8}{'CPU s':>8}{'ms per item':>13}")
    for c in costs:
        print(
            f"{c.what:<16}{c.items:>7}{c.requests:>10}{c.requests / c.items:>10.2f}{c.writes:>8}{c.cpu:>8.2f}"
            f"{c.cpu / c.items * 1000:>13.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500)
    items = parser.parse_args().items
    with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as name:
        folder = Path(name)
        with radicale(folder / "dav") as dav, embedded_crm() as crm:
            show(measure(dav, crm, folder, items))


if __name__ == "__main__":
    main()
