"""The web services on replicas inside the service: where the configuration gives them an address."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import RLock

from crmsync.config.secret import SecretError
from crmsync.daemon.calls import explained
from crmsync.daemon.crm_api.server import CrmServer, ProxySettings
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.replicas import Place, Replicas

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
            for name, place in self._replicas.places.items():
                if name not in self.open:
                    self._try(name, self._replicas.services[name], place)

    def close(self) -> None:
        with self._guard:
            self._replicas = None
            self._said.clear()
            while self.open:
                self.open.popitem()[1].stop()

    @property
    def urls(self) -> Mapping[str, str]:
        return {name: server.url or server.https_url or "" for name, server in self.open.items()}

    def _try(self, name: str, make: Callable[[], ReplicaCrm], place: Place) -> None:
        try:
            server = _opened(make(), place)
        except Exception as error:  # whatever it is, it stays this replica's
            why = _why(name, error)
            if self._said.get(name) != why:
                log.error(
                    "the API of the replica of crm.%s is not served, and is tried again: %s",
                    name,
                    why,
                    extra={"action": "replica.door.shut"},
                )
                log.debug("the door stays shut", exc_info=error, extra={"action": "replica.door.defect"})
            self._said[name] = why
            return
        self._said.pop(name, None)
        self.open[name] = server
        log.info(
            "the replica of crm.%s answers on %s",
            name,
            _addresses(server),
            extra={"action": "replica.door.open"},
        )


def _opened(crm: ReplicaCrm, place: Place) -> CrmServer:
    """What it holds is given back where it does not open: it is tried again every half a minute."""
    with ExitStack() as stack:
        stack.callback(crm.close)
        server = _server(crm, place)
        stack.callback(server.stop)
        server.start()
        stack.pop_all()
        return server


def _why(name: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error}; see listen in [crm.{name}.replica_settings]"
    if isinstance(error, RuntimeError | SecretError):
        return str(error)
    failure = explained(error)
    if failure is not None:
        return failure.message
    return f"a defect of crmsync ({type(error).__name__}), please report it"


def _server(crm: ReplicaCrm, place: Place) -> CrmServer:
    proxy = None if place.proxy_port is None else ProxySettings(place.proxy_port, tuple(place.names))
    return CrmServer(
        crm.org,
        "",
        place.certificates,
        host=place.host,
        port=place.port or 0,
        http=place.port is not None,
        https=place.tls_port is not None,
        https_port=place.tls_port or 0,
        proxy=proxy,
        crm=crm,
        clock=crm.clock,
    )


def _addresses(server: CrmServer) -> str:
    told = [server.url] if server.url else []
    told += [f"{server.https_url} (its CA: {server.ca_file})"] if server.https_url else []
    told += [f"the proxy {server.proxy_url}"] if server.proxy_url else []
    return " and ".join(told)
