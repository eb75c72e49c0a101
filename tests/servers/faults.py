"""What can be wrong with a server or the line to it, one function each: ``Trouble`` for the proxy in ``proxy.py``.

Those that are no function of one answer take what they need first: ``status(503, retry_after=30)``, ``clock(hours=5)``.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote, unquote

from tests.servers.proxy import Asked, Broken, Reply, Server, Trouble

_HTML = b"<html><body><h1>Gateway maintenance</h1><p>Please try again later.</body></html>"
_XML = (("Content-Type", "application/xml; charset=utf-8"),)
_RESPONSE = re.compile(rb"<(?P<name>(?:[\w-]+:)?response)\b.*?</(?P=name)>", re.DOTALL)
_HTTP_DATE = re.compile(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_ASKED_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d(?::|%3A)\d\d(?::|%3A)\d\d(?:\.\d+)?Z")
_JSON_DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")


# ── The line ─────────────────────────────────────────────────────────────────────────────────────────────────


def refuse(asked: Asked, server: Server) -> Broken:
    """Nobody takes the call."""
    return Broken()


def hang(until: threading.Event) -> Trouble:
    """The request is taken, and never answered."""

    def hanging(asked: Asked, server: Server) -> Broken:
        until.wait(60)
        return Broken()

    return hanging


def break_request(asked: Asked, server: Server) -> Broken:
    """Half of the request reaches the server."""
    server.begin(asked)
    return Broken()


def break_answer(asked: Asked, server: Server) -> Broken:
    raw = server(asked).raw()
    return Broken(raw[: len(raw) // 2])


def lose_answer(asked: Asked, server: Server) -> Broken:
    server(asked)
    return Broken()


# ── What the server says ─────────────────────────────────────────────────────────────────────────────────────


def status(code: int, *, retry_after: int | None = None) -> Trouble:
    """It does nothing, and says so."""
    pause = () if retry_after is None else (("Retry-After", str(retry_after)),)
    return lambda asked, server: Reply(code, (("Content-Type", "text/plain"), *pause), b"no")


def fail_when_done(asked: Asked, server: Server) -> Reply:
    server(asked)
    return Reply(500, (("Content-Type", "text/plain"),), b"internal error")


def truncate(asked: Asked, server: Server) -> Reply:
    """Half of the body, with a length that fits."""
    answer = server(_plainly(asked))
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def garble(asked: Asked, server: Server) -> Reply:
    """A page for people instead of the answer, as gateways send it with any status."""
    return replace(server(_plainly(asked)), body=_HTML)


def empty(asked: Asked, server: Server) -> Reply:
    """A listing without anything in it, as if all were well."""
    return _listing(server(_plainly(asked)), lambda number: 0)


def cut_short(asked: Asked, server: Server) -> Reply:
    """A listing without its second half, as if all were well."""
    return _listing(server(_plainly(asked)), lambda number: number // 2)


def refuse_token(asked: Asked, server: Server) -> Reply:
    if b"sync-token" not in asked.body or b"http" not in asked.body.partition(b"sync-token")[2]:
        return server(asked)
    return Reply(403, _XML, b'<?xml version="1.0"?><error xmlns="DAV:"><valid-sync-token/></error>')


def clock(*, hours: int) -> Trouble:
    """Everything that the server dates is off by so many hours."""
    off = timedelta(hours=hours)

    def shifted(asked: Asked, server: Server) -> Reply:
        told = {
            n: _http(v, -off) if n.lower() == "if-unmodified-since" else v for n, v in asked.headers.items()
        }
        path = _ASKED_DATE.sub(lambda m: _asked(m[0], off), asked.path)
        answer = server(_plainly(replace(asked, path=path, headers=told)))
        headers = tuple((n, _http(v, off) if n.lower() == "date" else v) for n, v in answer.headers)
        if not any(n.lower() == "date" for n, _ in answer.headers):
            headers += (("Date", format_datetime(datetime.now(UTC) + off, usegmt=True)),)
        body = _HTTP_DATE.sub(lambda m: _http(m[0].decode(), off).encode(), answer.body)
        return replace(answer, headers=headers, body=_JSON_DATE.sub(lambda m: _json(m[0], off), body))

    return shifted


def mix_up(mine: str, other: str, login: str) -> Trouble:
    """It answers with what it holds for another user. ``login``: the other one's Authorization header."""

    def mixed(asked: Asked, server: Server) -> Reply:
        turned = replace(
            asked,
            path=asked.path.replace(mine, other),
            body=asked.body.replace(mine.encode(), other.encode()),
            headers={**_without(asked.headers, "authorization"), "Authorization": login},
        )
        answer = server(_plainly(turned))
        return replace(answer, body=answer.body.replace(other.encode(), mine.encode()))

    return mixed


def _listing(answer: Reply, keep: Callable[[int], int]) -> Reply:
    """Of an answer that lists something, DAV or JSON, so many are kept."""
    try:
        told = json.loads(answer.body)
    except ValueError:
        number = len(_RESPONSE.findall(answer.body))
        left = iter(range(number))
        body = _RESPONSE.sub(lambda m: m[0] if next(left) < keep(number) else b"", answer.body)
        return replace(answer, body=body)
    if not isinstance(told, dict) or "records" not in told:
        return answer
    records = told["records"][: keep(len(told["records"]))]
    told |= {"records": records, "totalSize": len(records), "done": True}
    return replace(answer, body=json.dumps(told).encode())


def _plainly(asked: Asked) -> Asked:
    """What a server compresses cannot be told apart."""
    return replace(asked, headers=_without(asked.headers, "accept-encoding"))


def _without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {n: v for n, v in headers.items() if n.lower() != name}


def _http(stamp: str, off: timedelta) -> str:
    return format_datetime(parsedate_to_datetime(stamp) + off, usegmt=True)


def _asked(stamp: str, off: timedelta) -> str:
    """In the query of a client that goes by the server's time, which is off."""
    moment = datetime.fromisoformat(unquote(stamp)) - off
    return quote(f"{moment:%Y-%m-%dT%H:%M:%S.}{moment.microsecond // 1000:03}Z", safe="")


def _json(stamp: bytes, off: timedelta) -> bytes:
    moment = datetime.strptime(stamp.decode(), "%Y-%m-%dT%H:%M:%S.%f%z") + off
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000").encode()
