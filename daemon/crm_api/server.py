"""Starting and stopping the embedded CRM: in a thread for the demo and tests, in the foreground for the CLI."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from threading import Event, Thread

import uvicorn
from starlette.types import ASGIApp

from crmsync.daemon.crm_api.app import build_app
from crmsync.daemon.crm_api.crm import DAILY_REQUESTS, Crm, system_clock
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_api.tls import make_certificates
from crmsync.daemon.crm_pages.app import Front, pages
from crmsync.state.replica.org import Org
from crmsync.state.replica.store import Clock

__all__ = ["CrmServer", "serve"]

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5  # for requests under way
KEEP_ALIVE_SECONDS = 60


class CrmServer:
    """The embedded CRM on loopback, plain and (with `https`) encrypted: one application, one database.

    `start()` returns when both listeners answer. Attributes after it: `url`, `https_url` and `ca_file` (None
    without `https`), `crm` (users' ids, sessions, request count).
    """

    def __init__(
        self,
        org: Org,
        database_url: str,
        directory: Path,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        https: bool = False,
        https_port: int = 0,
        clock: Clock = system_clock,
        durable: bool = True,
        daily_requests: int = DAILY_REQUESTS,
    ) -> None:
        """`directory` receives the certificates; a port of 0 is a free one."""
        self._sockets: list[tuple[socket.socket, bool]] = []
        self._thread: Thread | None = None
        self._started = Event()
        self._failure: BaseException | None = None
        self._servers: list[uvicorn.Server] = []
        self._certificates = make_certificates(directory, clock()) if https else None
        self.crm = Crm(database_url, org, clock=clock, durable=durable, daily_requests=daily_requests)
        try:
            self.url = self._listen("http", host, port)
            self.https_url = self._listen("https", host, https_port) if https else None
        except OSError:
            self.stop()
            raise
        self.ca_file = self._certificates.ca_file if self._certificates else None

    def start(self) -> "CrmServer":
        self._thread = Thread(target=self._run, name="embedded-crm", daemon=True)
        self._thread.start()
        if not self._started.wait(START_SECONDS) or self._failure is not None:
            raise RuntimeError(f"the embedded CRM did not start: {self._failure or 'no answer'}")
        return self

    def stop(self) -> None:
        """Ends the listeners, lets requests under way finish, closes the database. May be called twice."""
        for server in self._servers:
            server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for listener, _ in self._sockets:
            listener.close()
        self.crm.close()

    def __enter__(self) -> "CrmServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serves in this thread until SIGINT or SIGTERM."""
        asyncio.run(self._serve_until_signal(ready))

    def request_stop(self) -> None:
        """Asks `run` to end; safe in a signal handler."""
        for server in self._servers:
            server.should_exit = True

    def _listen(self, scheme: str, host: str, port: int) -> str:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=256)
        except OSError as error:
            what = (
                f"the embedded CRM cannot listen on {host} port {port}: {error.strerror}; choose another port"
            )
            raise OSError(error.errno, what) from error
        # asyncio sets this for sockets made by itself only; without it every answer waits 40 ms for an ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.append((listener, scheme == "https"))
        return f"{scheme}://{_shown(host)}:{listener.getsockname()[1]}"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve(self._started.set))
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
        self._servers = [_Listener(self._config(app, https)) for _, https in self._sockets]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, (listener, _) in zip(self._servers, self._sockets, strict=True)
        ]
        while not all(server.started for server in self._servers) and not any(t.done() for t in tasks):
            await asyncio.sleep(0.005)
        ready()
        await asyncio.gather(*tasks)

    def _with_pages(self, api: Callable[[Call], Reply], rest: ASGIApp) -> ASGIApp:
        """In front of the API, what people see of it."""
        return Front(pages(self.crm, api, [url for url in (self.url, self.https_url) if url]), rest)

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
        )


class _Listener(uvicorn.Server):
    """uvicorn without its own signal handlers: two servers in one loop would take them from each other."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drops idle connections first: a TLS client that keeps one open would hold up the end."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            transport = getattr(connection, "transport", None)
            if transport is not None and (cycle is None or cycle.response_complete):
                transport.abort()
        await super().shutdown(sockets)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def serve(server: CrmServer, *, announce: Callable[[Sequence[str]], None]) -> None:
    """Runs a server in the foreground until SIGINT or SIGTERM; `announce` gets its addresses when they answer."""
    urls = [url for url in (server.url, server.https_url) if url]
    server.run(ready=lambda: announce(urls))
