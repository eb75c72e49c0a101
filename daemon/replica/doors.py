"""The web services on replicas inside the service: where the configuration gives them an address."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crmsync.daemon.crm_api.server import CrmServer, ProxySettings
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.replicas import Place, Replicas
from crmsync.state.errors import StateError

__all__ = ["Doors"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Doors:
    """One that does not open concerns nobody else: the service goes on without it."""

    open: dict[str, CrmServer] = field(default_factory=dict)

    def follow(self, replicas: Replicas) -> None:
        self.close()
        for name, place in replicas.places.items():
            server = _opened(name, replicas.services[name], place)
            if server is not None:
                self.open[name] = server

    def close(self) -> None:
        while self.open:
            self.open.popitem()[1].stop()

    @property
    def urls(self) -> Mapping[str, str]:
        return {name: server.url or server.https_url or "" for name, server in self.open.items()}


def _opened(name: str, make: Callable[[], ReplicaCrm], place: Place) -> CrmServer | None:
    try:
        server = _server(make(), place)
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
    log.info(
        "the replica of crm.%s answers on %s", name, _addresses(server), extra={"action": "replica.door.open"}
    )
    return server


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
