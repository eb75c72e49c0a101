"""The web services on replicas inside the service: where the configuration gives them an address."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from crmsync.daemon.crm_api.server import CrmServer
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.replicas import Replicas
from crmsync.state.errors import StateError

__all__ = ["Doors"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Doors:
    """One that does not open concerns nobody else: the service goes on without it, and tries again, since a database
    server may begin later than we do. Safe for threads."""

    open: dict[str, CrmServer] = field(default_factory=dict)
    _replicas: Replicas | None = None
    _said: dict[str, str] = field(default_factory=dict)  # why one is shut
    _guard: RLock = field(default_factory=RLock)

    def follow(self, replicas: Replicas) -> None:
        with self._guard:
            self.close()
            self._replicas = replicas
            self.again()

    def again(self) -> None:
        """Those that are shut."""
        with self._guard:
            if self._replicas is None:
                return
            for name, (host, port) in self._replicas.addresses.items():
                if name not in self.open:
                    self._try(name, self._replicas.services[name], host, port)

    def close(self) -> None:
        with self._guard:
            self._replicas = None
            self._said.clear()
            while self.open:
                self.open.popitem()[1].stop()

    @property
    def urls(self) -> Mapping[str, str]:
        return {name: server.url for name, server in self.open.items()}

    def _try(self, name: str, make: Callable[[], ReplicaCrm], host: str, port: int) -> None:
        try:
            crm = make()
            server = CrmServer(crm.org, "", Path(), host=host, port=port, crm=crm, clock=crm.clock)
            server.start()
        except (OSError, RuntimeError, StateError) as error:
            if self._said.get(name) != str(error):
                log.error(
                    "the API of the replica of crm.%s is not served: %s; see listen in [crm.%s.replica_settings]",
                    name,
                    error,
                    name,
                    extra={"action": "replica.door.shut"},
                )
            self._said[name] = str(error)
            return
        self._said.pop(name, None)
        self.open[name] = server
        log.info(
            "the replica of crm.%s answers on %s", name, server.url, extra={"action": "replica.door.open"}
        )
