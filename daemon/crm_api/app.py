"""The web application: bytes to `Call`, `Reply` to bytes.

Everything that may wait for the database runs in worker threads; the event loop only moves bytes.
"""

import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from threading import Lock

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crmsync.daemon.crm_api.addresses import parameters, segments, version_of
from crmsync.daemon.crm_api.api import build_api
from crmsync.daemon.crm_api.bodies import MOST_BYTES, beginning, parse_json, unzip
from crmsync.daemon.crm_api.bulk.setup import Bulk
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.fairness import Fairness
from crmsync.daemon.crm_api.incoming import STRANGERS_BYTES, Incoming, token_of
from crmsync.daemon.crm_api.markup import in_xml, is_xml, parse_xml, wants_xml
from crmsync.daemon.crm_api.messages import Call, Reply, fault_reply
from crmsync.daemon.crm_api.multipart import boundary_of, record_of
from crmsync.daemon.crm_api.oauth import OAuth
from crmsync.daemon.crm_api.resources import known_version, versions
from crmsync.daemon.crm_api.soap import Endpoint, wire
from crmsync.state.errors import StateError
from crmsync.state.replica import faults
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.sessions import Session

__all__ = ["build_app"]

log = logging.getLogger(__name__)
METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]


def build_app(
    crm: Crm, front: Callable[[Callable[[Call], Reply], ASGIApp], ASGIApp] | None = None
) -> Starlette:
    """The ASGI application. `app.state.crm` is the Crm; its `usage.total` counts API requests.

    `front` is put before the API: it gets the REST API's handlers, to answer with, and the API itself.
    """
    endpoint = _Endpoint(crm)
    app = Starlette(routes=[Route("/{path:path}", front(endpoint.call, endpoint) if front else endpoint)])
    app.state.crm = crm
    return app


@dataclass(frozen=True, slots=True)
class _Message:
    """One HTTP request, read completely."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str
    address: str = ""  # of who asks
    most: int = MOST_BYTES  # of them, unzipped

    def form(self) -> Mapping[str, str]:
        """Form fields; the query string may carry them too, as Salesforce lets it."""
        content = unzip(self.body, self.headers.get("content-encoding", ""), STRANGERS_BYTES)
        return {**self.query, **parameters(content)}

    def token(self) -> str:
        """The session id where it may also be a parameter (OAuth 2.0 and OpenID, "Identity URLs")."""
        given = token_of(self.headers)
        if given:
            return given
        form = self.form()
        return form.get("oauth_token") or form.get("access_token", "")

    def plain(self) -> bytes:
        return unzip(self.body, self.headers.get("content-encoding", ""), self.most)

    def json(self) -> object:
        """The values of the body, whatever they are written in."""
        content_type = self.headers.get("content-type", "")
        boundary = boundary_of(content_type)
        if boundary is not None:
            return record_of(self.plain(), boundary)
        return parse_xml(self.plain()) if is_xml(content_type) else parse_json(self.plain())


class _Built:
    """What answers, of the parts that the CRM has now."""

    def __init__(self, crm: Crm) -> None:
        self.generation = crm.generation
        self.oauth = OAuth(crm)
        self.soap = Endpoint(crm)
        self.bulk = Bulk(crm)
        self.api = build_api(crm, self.bulk)


class _Endpoint:
    """Answers everything: Salesforce's addresses are looser than a router's."""

    def __init__(self, crm: Crm) -> None:
        self._crm, self._lock = crm, Lock()
        self._built = _Built(crm)
        self._incoming, self._fairness = Incoming(), Fairness()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        path = _path(scope)
        try:
            async with self._incoming.body(request, lambda start: self._whose(path, headers, start)) as body:
                who = self._whose(path, headers, body)
                most = MOST_BYTES if who else STRANGERS_BYTES
                async with self._fairness.turn(who):
                    reply = await run_in_threadpool(
                        self._answer, _message(request, path, headers, body, most)
                    )
        except ClientDisconnect:
            return
        except Fault as fault:
            reply = Endpoint.refused(fault) if _is_soap(path) else fault_reply(fault)
        await self._response(request, reply)(scope, receive, send)

    def _whose(self, path: tuple[str, ...], headers: Mapping[str, str], body: bytes) -> str:
        """The user whose session this comes with; empty: a stranger. `body`: all of it, or its beginning."""
        if _is_soap(path):
            start = beginning(body, headers.get("content-encoding", ""), STRANGERS_BYTES)
            return self._crm.sessions.whose(wire.session_in(start))
        return self._crm.sessions.whose(token_of(headers))

    def call(self, call: Call) -> Reply:
        """The REST API without HTTP around it."""
        return self._current().api(call)

    def _response(self, request: Request, reply: Reply) -> Response:
        payload = reply.payload()
        now = self._crm.clock().astimezone(datetime.UTC)
        headers = {
            "Date": format_datetime(now, usegmt=True),
            "Sforce-Limit-Info": self._crm.usage.header(),
            **reply.headers,
        }
        if payload and "Content-Type" not in headers:
            headers["Content-Type"] = "application/json;charset=UTF-8"
        if request.method == "HEAD":
            payload = b""
        return Response(payload, reply.status, headers)

    def _answer(self, message: _Message) -> Reply:
        reply = self._refused_or_not(message)
        rest = tuple(part.lower() for part in message.path[:2]) == ("services", "data")
        return in_xml(reply) if rest and wants_xml(message.headers.get("accept", "")) else reply

    def _refused_or_not(self, message: _Message) -> Reply:
        try:
            return self._dispatch(message)
        except Fault as fault:
            return fault_reply(fault)
        except StateError as error:
            log.error("%s", error, extra={"action": "crm.database"})
            return fault_reply(
                Fault("SERVER_UNAVAILABLE", "the database of this CRM cannot be used just now")
            )
        except Exception:
            log.exception(
                "%s /%s failed", message.method, "/".join(message.path), extra={"action": "crm.defect"}
            )
            what = "the CRM failed to answer; its log has the reason. Try again, then report it"
            return fault_reply(Fault("UNKNOWN_EXCEPTION", what))

    def _current(self) -> _Built:
        generation = self._crm.generation
        with self._lock:
            if self._built.generation != generation:
                self._built.bulk.close()  # its jobs go on with the new one
                self._built = _Built(self._crm)
            return self._built

    def _dispatch(self, message: _Message) -> Reply:
        if message.method == "CONNECT":  # what is a success there, HTTP takes for a tunnel
            raise Fault("METHOD_NOT_ALLOWED", "HTTP Method 'CONNECT' not allowed")
        built = self._current()
        match tuple(part.lower() for part in message.path[:3]):
            case ("services", "oauth2", "token"):
                form = message.form() if message.method == "POST" else {}
                return built.oauth.token(
                    form, message.headers.get("authorization", ""), message.origin, message.address
                )
            case ("services", "oauth2", "authorize"):
                return built.oauth.web.authorize({**message.query, **message.form()})
            case () if message.query.get("ec") == "302" and message.method == "POST":
                return built.oauth.web.log_in(message.query, message.form(), message.address)
            case () if message.query.get("ec") == "302":
                return built.oauth.web.show(message.query)
            case ("services", "oauth2", "introspect"):
                return built.oauth.introspect(
                    message.form(), message.headers.get("authorization", ""), message.address
                )
            case ("services", "oauth2", "revoke"):
                return built.oauth.revoke(message.form())
            case ("services", "oauth2", "userinfo"):
                return built.oauth.user_info(self._session(message, message.token()).caller, message.origin)
            case ("services", "soap", "u" | "c") if message.method != "POST":
                raise Fault(
                    "METHOD_NOT_ALLOWED", f"HTTP Method '{message.method}' not allowed. Allowed are POST"
                )
            case ("services", "soap", "u" | "c"):
                return built.soap.answer(message.path, message.plain, message.origin, message.address)
            case ("id", _, _):
                who = self._session(message, message.token()).caller
                return built.oauth.identity(who, message.origin, message.query.get("version", ""))
            case ("services", "async", version):
                return built.bulk.classic.answer(
                    message.method,
                    message.path[3:],
                    message.plain(),
                    message.headers,
                    version,
                    lambda: self._counted(message),
                )
            case ("services", "data"):
                return Reply(200, versions())
            case ("services", "data", version):
                return self._data(built, message, version)
        raise faults.not_found()

    def _data(self, built: _Built, message: _Message, version_segment: str) -> Reply:
        version = version_of(version_segment)
        if version is None or not known_version(version):
            raise faults.not_found()
        caller = self._counted(message)
        return built.api(
            Call(
                message.method,
                message.path[3:],
                caller,
                version,
                message.origin,
                message.query,
                message.headers,
                message.json,
                message.plain,
            )
        )

    def _counted(self, message: _Message) -> Caller:
        caller = self._session(message).caller
        if not self._crm.usage.count():
            raise Fault("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        return caller

    def _session(self, message: _Message, token: str | None = None) -> Session:
        session = self._crm.sessions.use(token_of(message.headers) if token is None else token)
        if session is None:
            raise Fault("INVALID_SESSION_ID", "Session expired or invalid")
        return session


def _is_soap(path: tuple[str, ...]) -> bool:
    return tuple(part.lower() for part in path[:2]) == ("services", "soap")


def _path(scope: Scope) -> tuple[str, ...]:
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    return segments(raw.partition(b"?")[0])


def _message(
    request: Request, path: tuple[str, ...], headers: Mapping[str, str], body: bytes, most: int
) -> _Message:
    scope = request.scope
    return _Message(
        scope["method"],
        path,
        parameters(scope["query_string"]),
        headers,
        body,
        f"{scope['scheme']}://{headers.get('host') or _server(scope)}",
        (scope.get("client") or ("",))[0],
        most,
    )


def _server(scope: Scope) -> str:
    host, port = scope.get("server") or ("localhost", 80)
    return f"{host}:{port}"
