"""The real ``crmsync run`` between a real DAV server and a CRM that is stopped, and started again, while it runs."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crmsync.daemon.demo.child import free_port
from tests.daemon.fakes import eventually
from tests.daemon.replica.test_service import Systemd, configured
from tests.daemon.replica.test_sync_while_away import in_crm, in_replica, told
from tests.daemon.test_cli_exchange import EXCHANGE, SECRET, ask, jobs_of
from tests.daemon.test_service import SECRETS, end, once, running, said
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.radicale import radicale

pytestmark = pytest.mark.server

MINUTE = 60.0  # of patience

CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:{name} Lovelace\r\nN:Lovelace;{name};;;\r\n"
    "EMAIL:{name}@example.com\r\nCATEGORIES:CRM\r\nTITLE:Analyst\r\nEND:VCARD\r\n"
)


@dataclass
class Premises:
    folder: Path
    dav: DavServer
    crm: EmbeddedCrm
    power: ExitStack  # of the CRM
    config: Path

    def pace(self, accounts: str, replica: str) -> None:
        """The intervals."""
        text = self.config.read_text().replace('\ninterval = "1s"\n', f'\ninterval = "{replica}"\n')
        self.config.write_text(f'{text}\n[schedule]\ninterval = "{accounts}"\nsettle = "0s"\n')

    def person(self, name: str) -> None:
        self.dav.put(f"{self.dav.book_url('Contacts')}{name}.vcf", CARD.format(name=name))

    def edit(self, name: str, title: str) -> None:
        url = f"{self.dav.book_url('Contacts')}{name}.vcf"
        text = self.dav.send("GET", url).data.decode()
        self.dav.put(url, text.replace("TITLE:Analyst", f"TITLE:{title}"))

    def stop(self) -> None:
        self.power.close()

    def start(self) -> None:
        port, known = int(self.crm.url.rpartition(":")[2]), (self.crm.client_id, self.crm.client_secret)
        self.crm = self.power.enter_context(_crm(self.folder, port=port, credentials=known))

    def there(self) -> dict[str, str]:
        return {row["FirstName"]: row["Title"] for row in in_crm(self.crm)}

    def here(self) -> list[str]:
        """Nothing before the first pass has made its tables."""
        with suppress(sqlite3.OperationalError):
            return sorted(title for _, title in in_replica(self.folder))
        return []

    def light(self) -> str:
        return str(told(self.config, "status")["replicas"][0]["light"])


def _crm(folder: Path, **options: Any) -> Any:
    return embedded_crm(directory=folder / "crm", **options)


@pytest.fixture
def premises(tmp_path: Path) -> Iterator[Premises]:
    users = {"alice": SECRETS["ALICE_PASSWORD"]}
    with ExitStack() as power, radicale(tmp_path / "dav", users=users) as dav:
        crm = power.enter_context(_crm(tmp_path))
        config = configured(tmp_path, crm)
        config.write_text(config.read_text().replace("http://127.0.0.1:9/alice/", dav.principal_url()))
        dav.make_book()
        yield Premises(tmp_path, dav, crm, power, config)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path)
    yield made
    made.close()


def test_what_changes_meanwhile_is_there_afterwards_once(premises: Premises, systemd: Systemd):
    premises.pace("1s", "1s")
    premises.person("ada")
    with running(premises.config, systemd) as process:
        eventually(lambda: premises.there() == {"ada": "Analyst"}, MINUTE)
        eventually(lambda: premises.here() == ["Analyst"], MINUTE)

        premises.stop()
        premises.edit("ada", "Countess")
        premises.person("grace")
        eventually(lambda: premises.here() == ["Analyst", "Countess"], MINUTE)
        eventually(lambda: premises.light() == "offline", MINUTE)

        premises.start()
        wanted = {"ada": "Countess", "grace": "Analyst"}
        eventually(lambda: premises.there() == wanted, MINUTE)
        eventually(lambda: premises.light() == "in_step", MINUTE)
        eventually(lambda: told(premises.config, "queue") == [], MINUTE)
        arrived = {row["Id"]: row["SystemModstamp"] for row in in_crm(premises.crm)}
        assert told(premises.config, "sync")["writes"] == 0
        told(premises.config, "crm", "replica", "sync")
        assert {row["Id"]: row["SystemModstamp"] for row in in_crm(premises.crm)} == arrived
        assert (told(premises.config, "conflicts"), premises.here()) == ([], ["Analyst", "Countess"])
        assert end(process) == 0
    log = said(premises.config)
    told_of = re.findall(r"action=replica\.(away|back)", log)
    # once when it begins and once when it ends; a CRM that is just starting may be away once more
    assert told_of == ["away", "back"] * max(1, len(told_of) // 2)
    assert "Traceback" not in log


def test_nothing_moves_that_the_crm_has_not_asked_for(
    premises: Premises, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
):
    """Not while it is away, and not because it is back."""
    monkeypatch.setenv("EXCHANGE_SECRET", SECRET)
    port, config = free_port(), premises.config
    config.write_text(config.read_text() + EXCHANGE.format(port=port))

    def asked(state: str) -> None:
        assert ask(port, SECRET)[0] == 202
        eventually(lambda: jobs_of(config)[0]["state"] == state, MINUTE)

    def waits() -> bool:
        return "1 change waits for the CRM's word" in once(config, "sync").stdout

    premises.person("ada")
    with running(config, systemd) as process:
        eventually(waits, MINUTE)
        asked("done")
        assert (premises.there(), premises.here()) == ({"ada": "Analyst"}, ["Analyst"])

        premises.stop()
        premises.edit("ada", "Countess")
        eventually(waits, MINUTE)
        assert once(config, "crm", "replica", "sync").returncode == 1
        assert premises.here() == ["Analyst"]
        asked("failed")  # the exchange with the CRM itself
        assert premises.here() == ["Countess"]

        premises.start()
        eventually(lambda: "action=replica.back" in said(config), MINUTE)
        told(config, "sync", code=3)
        assert "only when the CRM's scheduler asks" in once(config, "crm", "replica", "sync").stderr
        assert premises.there() == {"ada": "Analyst"}
        asked("done")
        assert (premises.there(), premises.here()) == ({"ada": "Countess"}, ["Countess"])
        eventually(lambda: premises.light() == "in_step", MINUTE)
        assert told(config, "conflicts") == []
        assert end(process) == 0
