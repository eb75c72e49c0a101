"""The pages put together, and the address that they are on."""

import grp
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crmsync.daemon.accepting import Door
from crmsync.daemon.calls import Failure
from crmsync.daemon.control_server import listen
from crmsync.daemon.crm_api.patience import PatientProtocol
from crmsync.daemon.listening import Listener
from crmsync.daemon.web.audit import Audit
from crmsync.daemon.web.board import Board
from crmsync.daemon.web.charts import Charts
from crmsync.daemon.web.decisions import Decisions
from crmsync.daemon.web.gate import Addresses, Gate
from crmsync.daemon.web.item import Item
from crmsync.daemon.web.jobs import Jobs
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.login import Login
from crmsync.daemon.web.metrics import Metrics, Tally
from crmsync.daemon.web.oidc import Oidc
from crmsync.daemon.web.provider import Provider
from crmsync.daemon.web.replica_decisions import ReplicaDecisions
from crmsync.daemon.web.sessions import Sessions
from crmsync.daemon.web.site import Desk, Site
from crmsync.daemon.web.softphone import Phones, Softphone
from crmsync.daemon.web.status import Live, Status
from crmsync.daemon.web.syncing import Syncing

if TYPE_CHECKING:
    from crmsync.config.logins import Logins, ProxyLogin
    from crmsync.config.model import Config

CONNECTIONS = 512  # at the same time; of them so many may be streams of open pages (``streams.MOST``)
MOST_OPEN = CONNECTIONS + 32  # so many more are told that there are too many, and further ones nothing


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int  # 0: a free one
    url: str | None = None  # of a proxy in front
    logins: "Logins | None" = None

    @classmethod
    def of(cls, config: "Config") -> "Place | None":
        service = config.service
        return cls(*service.address, service.url, config.login) if service.address is not None else None


class WebServer:
    """Serves in a thread of its own."""

    def __init__(
        self,
        place: Place,
        desk: Desk,
        links: Links,
        tally: Tally,
        now: Callable[[], datetime],
        phones: Phones | None = None,
    ) -> None:
        """Raises Failure where the address is taken."""
        proxy = place.logins.proxy if place.logins else None
        oidc = place.logins.oidc if place.logins else None
        doors = [_bound(place)]
        self.port: int = doors[0].getsockname()[1]
        try:
            doors += [_proxy_door(proxy)] if proxy is not None else []
        except Failure:
            doors[0].close()
            raise
        self._socket = proxy.socket if proxy is not None else None
        addresses = Addresses.of(place.host, self.port, place.url)
        header = proxy.header.lower() if proxy is not None else ""
        self.site = Site(desk, now, addresses, links, header, oidc is not None, Sessions(now))
        provider = Provider(oidc) if oidc is not None else None
        board = Board(lambda: self.site.asked("status", {}), desk.due, now)
        self._live = Live(self.site, board)
        self._softphone = Softphone(self.site, phones)
        config = uvicorn.Config(
            application(
                self.site, board, self._live, Metrics(self.site, board, tally), self._softphone, provider
            ),
            loop="asyncio",
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # anybody on this machine could write them
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self._listener = Listener("status page", config, doors)

    @property
    def url(self) -> str:
        """As people reach it, without a slash at the end."""
        return self.site.addresses.public

    def start(self) -> None:
        """Raises Failure."""
        self._listener.start()
        self.site.diary.start()

    def stop(self, seconds: float = 2.0) -> None:
        self._live.close()
        self._softphone.close()
        self._listener.stop(seconds)
        self.site.diary.stop(seconds)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)


def application(
    site: Site,
    board: Board,
    live: Live,
    metrics: Metrics,
    softphone: Softphone,
    provider: Provider | None = None,
) -> Gate:
    charts = Charts(site)
    login, status, jobs = Login(site), Status(site, board, charts), Jobs(site, board.spoil)
    oidc = Oidc(site, login, provider)
    copies, item, syncing = ReplicaDecisions(site, board), Item(site), Syncing(site, jobs)
    decisions = Decisions(site, board, jobs, copies)
    routes = [
        *softphone.routes(),
        Route("/healthz", metrics.lives, methods=["GET"]),
        Route("/readyz", metrics.works, methods=["GET"]),
        Route("/metrics", metrics.page, methods=["GET"]),
        Route("/static/{name}", _static(site), methods=["GET"]),
        Route("/login", login.ask, methods=["GET"]),
        Route("/login", login.enter, methods=["POST"]),
        Route("/login/proxy", login.named, methods=["GET"]),
        Route("/login/oidc", oidc.leave, methods=["GET"]),
        Route("/login/oidc/done", oidc.back, methods=["GET"]),
        Route("/logout", site.known(login.leave), methods=["POST"]),
        Route("/", site.known(status.page), methods=["GET"]),
        Route("/troubled", site.known(status.troubled), methods=["GET"]),
        Route("/charts", site.known(charts.part), methods=["GET"]),
        Route("/events", site.known(live.stream), methods=["GET"]),
        Route("/sync", site.known(syncing.accounts), methods=["POST"]),
        Route("/item", site.known(item.page), methods=["GET"]),
        Route("/item/sync", site.known(syncing.item), methods=["POST"]),
        Route("/audit", site.known(Audit(site).page), methods=["GET"]),
        Route("/jobs/{id}", site.known(jobs.page), methods=["GET"]),
        Route("/decisions", site.known(decisions.page), methods=["GET"]),
        Route("/decisions/conflict", site.known(decisions.conflict), methods=["POST"]),
        Route("/decisions/deletion", site.known(decisions.deletion), methods=["POST"]),
        Route("/decisions/match", site.known(decisions.match), methods=["POST"]),
        Route("/decisions/back", site.known(decisions.take_back), methods=["POST"]),
        Route("/decisions/edit", site.known(decisions.edit), methods=["GET"]),
        Route("/decisions/edit", site.known(decisions.amend), methods=["POST"]),
        Route("/decisions/copy/conflict", site.known(copies.conflict), methods=["POST"]),
        Route("/decisions/copy/rejected", site.known(copies.rejected), methods=["POST"]),
        Route("/decisions/copy/edit", site.known(copies.edit), methods=["GET"]),
        Route("/decisions/copy/edit", site.known(copies.amend), methods=["POST"]),
        Route("/item/undo", site.known(decisions.undo), methods=["POST"]),
        Route("/decisions/rejected", site.known(decisions.rejected), methods=["POST"]),
    ]

    async def not_there(request: Request, error: Exception) -> Response:
        return site.sorry(404, "There is no such page.")

    async def not_so(request: Request, error: Exception) -> Response:
        return site.sorry(405, "That cannot be done with this page.")

    return Gate(
        Starlette(routes=routes, exception_handlers={404: not_there, 405: not_so}),
        site.addresses,
        site.refusals,
    )


def _static(site: Site) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        file = site.pages.files.get(request.path_params["name"])
        return file.response(request.url.query) if file else site.sorry(404, "There is no such file.")

    return serve


def _bound(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        door = socket.create_server((place.host, place.port), family=family, backlog=128)
    except OSError as error:
        raise Failure(
            "config",
            f"{place.host} port {place.port} cannot be listened on ({error.strerror or error}); name another one in "
            'the configuration, or none: [service] listen = "off"',
        ) from error
    # asyncio sets this for sockets made by itself only; without it every answer waits 40 ms for an ACK
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Door.of(door, MOST_OPEN)


def _proxy_door(proxy: "ProxyLogin") -> socket.socket:
    """For the proxy alone: whoever can write to it can say who they are. Raises Failure."""
    door = Door.of(listen(proxy.socket), MOST_OPEN)
    if proxy.group is None:
        return door
    try:
        os.chown(proxy.socket, -1, grp.getgrnam(proxy.group).gr_gid)
        proxy.socket.chmod(0o660)
    except (KeyError, OSError) as error:
        door.close()
        raise Failure(
            "config",
            f"the socket {proxy.socket} cannot be given to the group {proxy.group} ({error}): SupplementaryGroups="
            f"{proxy.group} in the unit lets the service do it",
        ) from error
    return door
