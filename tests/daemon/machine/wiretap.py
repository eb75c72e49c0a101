"""The line between a connector and its server, where every request is a point at which something can go wrong.

It lies between ``connectors.http`` and urllib3, so that the connectors run as they are, the process can die in the very
thread that asks, and what is broken looks to the engine as it does on a network.
"""

import json
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from crmsync.connectors.contract import Deferred, Outcome, Refused
from crmsync.connectors.errors import AuthExpired, ConnectorError, Throttled
from tests.daemon.machine.trouble import Fate, Wires

Operation = Callable[[str, str, Mapping[str, str], str], tuple[str, str]]  # method, target, headers, body
WRITES = ("create", "update", "delete")


class Line(Wires):
    """What goes wrong on the way to one server, whoever is logged in. ``after_write``: what is remembered of the
    server's items is out of date."""

    def __init__(self, name: str, fate: Fate, after_write: Callable[[], None] = lambda: None) -> None:
        super().__init__(name, fate)
        self.after_write = after_write


class Tap:
    """A connection pool with the line before it."""

    def __init__(self, pool: Any, line: Line, operation: Operation) -> None:
        self._pool = pool
        self._line = line
        self._operation = operation

    def urlopen(self, method: str, target: str, **request: Any) -> Any:
        body = (request.get("body") or b"").decode("utf-8", "replace")
        operation, detail = self._operation(method, target, request.get("headers") or {}, body)
        writes = operation in WRITES
        try:
            self._line.before(operation, detail)
            planted = self._line.planted(detail) if writes else None
            if planted is not None:
                return refusal(planted, target, body)
            answer = self._pool.urlopen(method, target, **request)
        except ConnectorError as error:
            return broken(error)
        if writes:
            self._line.after_write()
        try:
            self._line.after(operation, detail)
        except BaseException as error:
            answer.close()
            answer.release_conn()
            if isinstance(error, ConnectorError):
                return broken(error)
            raise
        return answer

    def close(self) -> None:
        self._pool.close()


def broken(error: ConnectorError) -> HTTPResponse:
    """What the connector gets to see of it. Raises urllib3's error where there is no answer at all."""
    if isinstance(error, Throttled):
        return _response(503, b"", {"Retry-After": str(int(error.retry_after or 1))})
    if isinstance(error, AuthExpired):
        return _response(401, b"")
    if str(error).isdigit():  # an answer with this status
        return _response(int(str(error)), b"<html>Bad gateway</html>")
    raise ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))


def refusal(outcome: Outcome, target: str, body: str) -> HTTPResponse:
    """The outcome as the server would say it."""
    if "/services/" not in target:
        status = 403 if isinstance(outcome, Refused) else 423 if isinstance(outcome, Deferred) else 412
        return _response(status, b"")
    code = "STRING_TOO_LONG" if isinstance(outcome, Refused) else "UNABLE_TO_LOCK_ROW"
    error = {"statusCode": code, "errorCode": code, "message": "not now", "fields": []}
    if "/composite/" not in target:
        return _response(400, json.dumps([error]).encode())
    rows = len(json.loads(body)["records"]) if body else len(unquote(target).partition("ids=")[2].split(","))
    each = {"success": False, "errors": [error]}
    return _response(200, json.dumps([each] * rows).encode())


def _response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    return HTTPResponse(
        BytesIO(body),
        headers={"Content-Length": str(len(body)), **(headers or {})},
        status=status,
        preload_content=False,
    )


# ── What a request is about ──────────────────────────────────────────────────────────────────────────────────


def of_dav(method: str, target: str, headers: Mapping[str, str], body: str) -> tuple[str, str]:
    name = unquote(target.rpartition("/")[2])
    match method:
        case "PUT":
            return ("update" if "If-Match" in headers else "create"), name
        case "DELETE":
            return "delete", name
        case "REPORT":
            return ("changes" if "sync-collection" in body else "fetch"), target
        case "PROPFIND":
            return "collections", target
        case _:
            return "fetch", name


def of_crm(method: str, target: str, headers: Mapping[str, str], body: str) -> tuple[str, str]:
    if method == "GET":
        asked = unquote(target.partition("?q=")[2])
        if "UserRecordAccess" in asked:
            return "access", ""
        if re.search(r"\bId IN", asked):
            return "fetch", ""
        if "SystemModstamp >" in asked:
            return "changes", ""
        if "FROM Contact" in asked:
            return "search", ""
        return "user_id" if "FROM User" in asked else "describe", ""
    if "/oauth2/" in target:
        return "login", ""
    if method == "DELETE":
        return "delete", target.rpartition("/")[2]
    single = re.search(r"/sobjects/Contact/(\w{15,18})$", target)
    if single:
        return "update", single[1]
    if method == "POST" or "/Contact/" in target:
        return "create", ""
    return "update", ""
