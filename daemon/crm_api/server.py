"""Starting and stopping the embedded CRM: in a thread for the demo and tests, in the foreground for the CLI."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import uvicorn
from starlette.types import ASGIApp

from crmsync.config.hosts import SALESFORCE
from crmsync.daemon.accepting import Door, run
from crmsync.daemon.crm_api.app import build_app
from crmsync.daemon.crm_api.crm import DAILY_REQUESTS, Crm, system_clock
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_api.patience import PatientProtocol
from crmsync.daemon.crm_api.proxy import LONGEST_HEAD, Proxy
from crmsync.daemon.crm_api.tls import Certificates, make_certificates, names_in
from crmsync.daemon.crm_pages.app import Front, pages
from crmsync.daemon.prompt import PromptServer
from crmsync.state.replica.org import Org
from crmsync.state.replica.store import Clock

__all__ = ["CrmServer", "ProxySettings", "serve"]

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5  # for requests under way
KEEP_ALIVE_SECONDS = 60
MOST_CONNECTIONS = 500  # of one listener; beyond it a client is told 503
MOST_OPEN = MOST_CONNECTIONS + 32  # and beyond this one it is hung up on, also during a handshake


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """A CONNECT proxy on loopback for these names; a port of 0 is a free one."""

    port: int = 0
    hosts: tuple[str, ...] = SALESFORCE


class CrmServer:
    """The embedded CRM, plain (unless `http` is off) and (with `https`) encrypted: one application, one database.

    `start()` returns when all listeners answer. Attributes after it: `url`, `https_url` and `ca_file` (None without
    `https`, or with `certificates` of one's own), `proxy_url` (None without `proxy`), `crm` (users' ids, sessions,
    request count).
    """

    def __init__(
        self,
        org: Org,
        database_url: str,
        directory: Path,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        http: bool = True,
        https: bool = False,
        https_port: int = 0,
        certificates: Certificates | None = None,
        proxy: ProxySettings | None = None,
        clock: Clock = system_clock,
        durable: bool = True,
        daily_requests: int = DAILY_REQUESTS,
        crm: Crm | None = None,
    ) -> None:
        """`directory` receives the certificates, unless they are given; a port of 0 is a free one.

        `proxy` needs `https`, and certificates made here: no others are valid for the names that it answers for.
        `crm`, if it is given, is served instead of one that is made of organisation and database.
        """
        self._sockets: list[tuple[socket.socket, bool]] = []
        self._thread: Thread | None = None
        self._started = Event()
        self._failure: BaseException | None = None
        self._servers: list[PromptServer] = []
        made = https and certificates is None
        names = proxy.hosts if proxy else ()
        self._certificates = make_certificates(directory, clock(), names) if made else certificates
        self._proxy: tuple[socket.socket, Proxy] | None = None
        self.crm = crm or Crm(database_url, org, clock=clock, durable=durable, daily_requests=daily_requests)
        try:
            self.url = self._listen("http", host, port) if http else ""
            self.https_url = self._listen("https", host, https_port) if https else None
            self.proxy_url = self._listen_as_proxy(proxy) if proxy else None
        except OSError:
            self.stop()
            raise
        self.ca_file = self._certificates.ca_file if self._certificates and made else None

    def start(self) -> "CrmServer":
        self._thread = Thread(target=self._run, name="embedded-crm", daemon=True)
        self._thread.start()
        if not self._started.wait(START_SECONDS) or self._failure is not None:
            raise RuntimeError(f"the embedded CRM did not start: {self._failure or 'no answer'}")
        return self

    def stop(self) -> None:
        """Ends the listeners, lets requests under way finish, closes the database. May be called twice."""
        for server in self._servers:
            server.end()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for listener, _ in self._sockets:
            listener.close()
        if self._proxy is not None:
            self._proxy[0].close()
        self.crm.close()

    def __enter__(self) -> "CrmServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serves in this thread until SIGINT or SIGTERM."""
        run(self._serve_until_signal(ready))

    def request_stop(self) -> None:
        """Asks `run` to end; safe in a signal handler."""
        for server in self._servers:
            server.end()

    def _listen_as_proxy(self, settings: ProxySettings) -> str:
        """After the listener for HTTPS, to which it leads. On loopback always."""
        listener, https = self._sockets[-1]
        if not https:
            raise ValueError("the proxy needs the HTTPS address")
        near, place = listener.getsockname()[:2]
        near = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(near, near)
        own = _bound(LOOPBACK, settings.port, "the proxy")
        self._proxy = (own, Proxy(settings.hosts, (near, place)))
        return f"http://{LOOPBACK}:{own.getsockname()[1]}"

    def _listen(self, scheme: str, host: str, port: int) -> str:
        listener = _bound(host, port, "the embedded CRM")
        self._sockets.append((listener, scheme == "https"))
        return f"{scheme}://{_shown(host)}:{listener.getsockname()[1]}"

    def _run(self) -> None:
        try:
            run(self._serve(self._started.set))
        except BaseException as error:  # noqa: BLE001 - start() reports it to the caller
            self._failure = error
            self._started.set()

    async def _serve_until_signal(self, ready: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        await self._serve(ready)

    async def _serve(self, ready: Callable[[], None]) -> None:
        app = build_app(self.crm, self._with_pages)
        self._servers = [PromptServer(self._config(app, https)) for _, https in self._sockets]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, (listener, _) in zip(self._servers, self._sockets, strict=True)
        ]
        while not all(server.started for server in self._servers) and not any(t.done() for t in tasks):
            await asyncio.sleep(0.005)
        async with contextlib.AsyncExitStack() as stack:
            if self._proxy is not None:
                listener, proxy = self._proxy
                await stack.enter_async_context(
                    await asyncio.start_server(proxy.answer, sock=listener, limit=LONGEST_HEAD)
                )
            ready()
            await asyncio.gather(*tasks)
            if self._proxy is not None:
                self._proxy[1].close()

    def _with_pages(self, api: Callable[[Call], Reply], rest: ASGIApp) -> ASGIApp:
        """In front of the API, what people see of it."""
        urls = [url for url in (self.url, self.https_url) if url]
        names = names_in(self._certificates.certificate_file) if self._certificates else []
        return Front(pages(self.crm, api, urls, names), rest)

    def _config(self, app: object, https: bool) -> uvicorn.Config:
        files = self._certificates if https else None
        return uvicorn.Config(
            app,  # type: ignore[arg-type]
            ssl_certfile=files.certificate_file if files else None,
            ssl_keyfile=files.key_file if files else None,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            limit_concurrency=MOST_CONNECTIONS,
            http=PatientProtocol,
        )


def _bound(host: str, port: int, who: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        what = f"{who} cannot listen on {host} port {port}: {error.strerror}; choose another port"
        raise OSError(error.errno, what) from error
    # asyncio sets this for sockets made by itself only; without it every answer waits 40 ms for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Door.of(listener, MOST_OPEN, MOST_CONNECTIONS // 2)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def serve(server: CrmServer, *, announce: Callable[[Sequence[str]], None]) -> None:
    """Runs a server in the foreground until SIGINT or SIGTERM; `announce` gets its addresses when they answer."""
    urls = [url for url in (server.url, server.https_url, server.proxy_url) if url]
    server.run(ready=lambda: announce(urls))
