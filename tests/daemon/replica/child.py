"""A process of its own that runs a pass and is killed when a stage begins: python -m tests.daemon.replica.child …"""

import os
import signal
import sys
from datetime import UTC, datetime

from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.replication import Replication
from crmsync.daemon.replica.replica import Replica
from crmsync.state.replica.local.database import LocalDatabase
from tests.daemon.replica.bench import OBJECTS


def main(url: str, client_id: str, secret: str, file: str, fatal: str) -> None:
    def progress(stage: str, what: str) -> None:
        if stage == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    client = Client(url, ClientCredentials(client_id, secret), now=lambda: datetime.now(UTC))
    database = LocalDatabase(f"sqlite:///{file}")
    Replica(database, Replication(client), OBJECTS, clock=lambda: datetime.now(UTC), progress=progress).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
