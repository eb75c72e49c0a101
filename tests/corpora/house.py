"""An address book and a calendar that store exactly, the embedded CRM, and the service between them as configured."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crmsync.config.load import load
from crmsync.daemon.app import build
from crmsync.daemon.engine import Engine
from crmsync.state.model import Pair, PairState
from crmsync.state.replica.faults import Saved
from tests.corpora.shelf import Resource
from tests.daemon.cycle.world import Clock
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.quirky import Quirky, quirky

_CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"

[crm.main]
type = "salesforce"
url = "{crm.url}"
client_id = "{crm.client_id}"
client_secret_env = "CLIENT_SECRET"
username = "{crm.sync.username}"
password_env = "CRM_PASSWORD"
external_id = "Crmsync_Id__c"

[crm.main.mapping.contact]
{exchanged}

[account.alice]
crm = "main"
crm_user = "{crm.alice.username}"
select = "all"
private = "{private}"
time_zone = "Europe/Berlin"
{account}

[[account.alice.source]]
type = "carddav"
url = "{book.url}"
username = "alice"
password_env = "PASSWORD"

[[account.alice.source]]
type = "caldav"
url = "{calendar.url}"
username = "alice"
password_env = "PASSWORD"
{more}
"""
_PRIVATE = ("phone_home", "notes", "address_home_street", "address_home_city", "address_home_country")
TABLES = {"contact": "Contact", "appointment": "Event", "task": "Task"}


@dataclass
class House:
    engine: Engine
    servers: Mapping[str, Quirky]  # by sort
    crm: EmbeddedCrm
    clock: Clock

    def put(self, resources: Iterable[Resource]) -> None:
        for each in resources:
            self.servers[each.sort].set(each.name, each.data)

    def stored(self, resource: Resource) -> bytes:
        return self.servers[resource.sort].items[resource.name][1]

    def sync(self) -> dict[str, Any]:
        """The clock moves on by more than what the CRM is asked for again each time."""
        self.clock.tick(600)
        return self.engine.sync()

    def writes(self) -> int:
        """Of all of our requests that changed something on the ECS side."""
        return sum(len(server.seen("PUT")) + len(server.seen("DELETE")) for server in self.servers.values())

    def pairs(self) -> dict[str, Pair]:
        """By resource name."""
        with self.engine.state.reading() as tx:
            return {pair.ecs_id: pair for pair in tx.pairs.listing("alice") if pair.state is PairState.LINKED}

    def row(self, pair: Pair) -> Mapping[str, Any]:
        return self.crm.crm.store.read(self._caller(), TABLES[pair.kind.value], pair.crm_id)

    def edit(self, pair: Pair, fields: Mapping[str, Any]) -> str:
        """What the CRM says against it; empty: done."""
        row = (TABLES[pair.kind.value], pair.crm_id, fields)
        (outcome,) = self.crm.crm.store.update(self._caller(), [row])
        return "" if isinstance(outcome, Saved) else str(outcome)

    def _caller(self) -> Any:
        return self.crm.crm.store.caller(self.crm.alice.id)


@contextmanager
def house(
    folder: Path,
    account: str = "",
    sharing: Mapping[str, str] | None = None,
    private: str = "sync",
    calendar: str = "",
) -> Iterator[House]:
    """``account``, ``calendar``: more lines of their configuration; ``sharing``: of the CRM's objects."""
    clock = Clock()
    with ExitStack() as stack:
        servers = {sort: stack.enter_context(quirky(sort)) for sort in ("addressbook", "calendar")}
        crm = stack.enter_context(embedded_crm(clock=clock, daily_requests=1_000_000, sharing=sharing))
        config = folder / "config.toml"
        config.write_text(
            _CONFIG.format(
                folder=folder,
                account=account,
                private=private,
                more=calendar,
                crm=crm,
                book=servers["addressbook"],
                calendar=servers["calendar"],
                exchanged="\n".join(f'{name} = {{ direction = "both" }}' for name in _PRIVATE),
            )
        )
        config.chmod(0o600)

        def now() -> datetime:
            return clock()

        secrets = {
            "CLIENT_SECRET": crm.client_secret,
            "CRM_PASSWORD": crm.sync.password,
            "PASSWORD": "secret",
        }
        engine = build(load(config, secrets), now=now)
        stack.callback(engine.close)
        yield House(engine, servers, crm, clock)
