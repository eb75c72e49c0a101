"""The service's end of the control socket (see ``control`` for what is spoken there)."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from crmsync.daemon.calls import Failure, Progress, explained
from crmsync.daemon.listening import Listener
from crmsync.daemon.turns import Stopping

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[str, object, Progress], Any]  # method, arguments, progress -> answer

LARGEST = 1024 * 1024  # bytes of a request
MOST = 64  # connections at the same time
TICK = 0.1  # seconds between two lines of progress
SIGN_OF_LIFE = 5.0  # seconds


def listen(path: Path) -> socket.socket:
    """A listening socket that only its owner (and root) can use; what a dead service left there goes. Raises Failure
    with the code ``config``."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_dead(path)
        return _bound(path)
    except OSError as error:
        raise Failure(
            "config",
            f"the control socket {path} cannot be made: {error.strerror or error}. Under systemd, "
            "RuntimeDirectory=crmsync makes /run/crmsync; elsewhere name a place of your own in the configuration:\n"
            f'  [service]\n  socket = "{_own_place()}"',
        ) from error


def _remove_dead(path: Path) -> None:
    if not path.is_socket():
        return  # bind says what is wrong with anything else
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise Failure(
        "busy",
        f"another service listens on {path} already: stop it, or give this one another [service] socket",
    )


def _bound(path: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)  # mode 0600 from the first moment on
        try:
            door.bind(str(path))
        finally:
            os.umask(before)
        door.listen(64)
    except BaseException:
        door.close()
        raise
    return door


def _own_place() -> str:
    return os.environ.get("XDG_RUNTIME_DIR", "/run/user/" + str(os.getuid())) + "/crmsync.sock"


class ControlServer:
    """Serves in a thread of its own. A command runs on when whoever asked for it goes away."""

    def __init__(
        self, door: socket.socket, path: Path, handle: Handler, about: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._path = path
        routes = [
            Route("/v1/about", _About(about), methods=["GET"]),
            Route("/v1/{method}", _Methods(handle), methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            http=_OwnerOnly,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST,
            timeout_graceful_shutdown=1,
        )
        self._listener = Listener("control socket", config, [door])

    def start(self) -> None:
        self._listener.start()

    def stop(self, seconds: float = 2.0) -> None:
        self._listener.stop(seconds)
        self._path.unlink(missing_ok=True)


class _OwnerOnly(H11Protocol):
    """Drops whoever is neither the service's user nor root, should the file's mode ever let them in."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not allowed(transport.get_extra_info("socket"), os.geteuid()):
            log.warning(
                "another user was turned away from the control socket", extra={"action": "control.foreign"}
            )
            transport.abort()


def allowed(door: Any, me: int) -> bool:
    """Who is on the other end, as the kernel says (unix(7), SO_PEERCRED)."""
    raw = door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return uid in (0, me)


class _About:
    def __init__(self, about: Callable[[], Mapping[str, Any]]) -> None:
        self._about = about

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(dict(self._about()))(scope, receive, send)


class _Methods:
    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            arguments = json.loads(await _body(request))
        except ClientDisconnect:
            return
        except (Failure, ValueError, RecursionError) as error:
            response: Response = Response(_line(_error("usage", f"the request cannot be read: {error}")), 400)
        else:
            job = _Job(self._handle, request.path_params["method"], arguments)
            response = StreamingResponse(_answers(job), media_type="application/x-ndjson")
        await response(scope, receive, send)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise Failure("usage", f"it is larger than {LARGEST} bytes")
    return body or b"{}"


class _Job:
    """One command in a thread of its own; its progress is summed up until somebody looks."""

    def __init__(self, handle: Handler, method: str, arguments: object) -> None:
        self._handle = handle
        self._method = method
        self._arguments = arguments
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        self.answer: dict[str, Any] = {}
        threading.Thread(target=self._run, name=f"control-{method}", daemon=True).start()

    def progress(self) -> list[dict[str, Any]]:
        with self._lock:
            counts, self._counts = self._counts, {}
        return [
            {"progress": {"account": account, "what": what, "count": count}}
            for (account, what), count in counts.items()
        ]

    def _count(self, account: str, what: str, count: int) -> None:
        with self._lock:
            self._counts[account, what] = self._counts.get((account, what), 0) + count

    def _run(self) -> None:
        self.answer = self._result()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self.done.set)

    def _result(self) -> dict[str, Any]:
        try:
            return {"result": self._handle(self._method, self._arguments, self._count)}
        except Stopping:
            return _error(
                "stopping", "the service stops or reloads; what was not done yet, its next cycle does"
            )
        except Exception as error:
            failure = explained(error)
            if failure is not None:
                return _error(failure.code, failure.message)
            log.exception("%s failed", self._method, extra={"action": "control.defect"})
            return _error(
                "defect",
                f"a defect of crmsync ({type(error).__name__}); please report it with the service's log",
            )


async def _answers(job: _Job) -> AsyncIterator[bytes]:
    quiet = 0.0
    while not job.done.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(job.done.wait(), TICK)
        lines = job.progress()
        quiet = 0.0 if lines else quiet + TICK
        for line in lines:
            yield _line(line)
        if quiet >= SIGN_OF_LIFE:
            quiet = 0.0
            yield b"\n"
    for line in job.progress():
        yield _line(line)
    yield _line(job.answer)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
