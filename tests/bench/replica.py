"""A replica in a process of its own, so that its memory is its own: ``python -m tests.bench.replica …``."""

import sys
from datetime import UTC, datetime
from typing import Any

from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.replication import Replication
from crmsync.daemon.replica.replica import Replica
from crmsync.state.replica.local.database import LocalDatabase
from tests.bench.meter import measured, take_commands

OBJECTS = ("Account", "Contact", "Task")


def main(url: str, client_id: str, secret: str, file: str) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    client = Client(url, ClientCredentials(client_id, secret), now=now)
    database = LocalDatabase(f"sqlite:///{file}")
    replica = Replica(database, Replication(client), OBJECTS, clock=now)

    def run() -> dict[str, Any]:
        told: dict[str, Any] = {}
        with measured(told):
            tally = replica.run()
        with database.read() as work:
            rows = sum(work.count(work.group(name).main) for name in OBJECTS)
        return {**told, "rows": rows, "requests": tally.requests}

    take_commands({"run": run})
    client.close()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
