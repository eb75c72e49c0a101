"""The web services on replicas inside the service: where the configuration gives them an address."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crmsync.daemon.crm_api.server import CrmServer
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.replicas import Replicas
from crmsync.state.errors import StateError

__all__ = ["Doors"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Doors:
    """One that does not open concerns nobody else: the service goes on without it."""

    open: dict[str, CrmServer] = field(default_factory=dict)

    def follow(self, replicas: Replicas) -> None:
        self.close()
        for name, (host, port) in replicas.addresses.items():
            server = _opened(name, replicas.services[name], host, port)
            if server is not None:
                self.open[name] = server

    def close(self) -> None:
        while self.open:
            self.open.popitem()[1].stop()

    @property
    def urls(self) -> Mapping[str, str]:
        return {name: server.url for name, server in self.open.items()}


def _opened(name: str, make: Callable[[], ReplicaCrm], host: str, port: int) -> CrmServer | None:
    try:
        crm = make()
        server = CrmServer(crm.org, "", Path(), host=host, port=port, crm=crm, clock=crm.clock)
        server.start()
    except (OSError, RuntimeError, StateError) as error:
        log.error(
            "the API of the replica of crm.%s is not served: %s; see listen in [crm.%s.replica_settings]",
            name,
            error,
            name,
            extra={"action": "replica.door.shut"},
        )
        return None
    log.info("the replica of crm.%s answers on %s", name, server.url, extra={"action": "replica.door.open"})
    return server
