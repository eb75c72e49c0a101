"""The softphone: a page that other pages may have in a frame, and what it asks.

No cookie: inside a frame of another site the browser would not send a strict one. A token that was paired once lives
in the browser's storage for this page, and comes in a header; whoever frames the page cannot read it. Everything that
the page is told comes over one stream, and what it does is JSON with that header, which no form of another site can
send.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from crmsync.daemon.calls import Failure
from crmsync.daemon.web.refusals import Throttle
from crmsync.daemon.web.site import Site

log = logging.getLogger(__name__)

LARGEST = 64 * 1024  # bytes of a request
MOST = 256  # open streams
MOST_EACH = 16  # of one account
SIGN_OF_LIFE = 15.0  # seconds
WRONG = (
    10  # a minute that are answered with what is wrong; further ones are asked to wait, and good ones work
)
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors {}"
)


class Phones(Protocol):
    """The telephones, as far as the page needs them. What raises, raises Failure."""

    @property
    def origins(self) -> Sequence[str]: ...
    def account(self, token: str) -> str | None: ...
    def pair(self, code: str) -> tuple[str, str] | None: ...
    def forget(self, token: str) -> None: ...
    def listen(self, account: str, told: Callable[[], None]) -> Callable[[], None]: ...
    def standing(self, account: str) -> dict[str, Any]: ...
    def act(self, account: str, what: str, key: str, number: str) -> None: ...
    def note(self, account: str, key: str, notes: str) -> None: ...
    def choose(self, account: str, key: str, person: str) -> None: ...


_Said: TypeAlias = dict[str, str]
_Doing: TypeAlias = Callable[[Phones, str, _Said], None]


class Softphone:
    def __init__(self, site: Site, phones: Phones | None) -> None:
        self._site, self._phones = site, phones
        self._throttle = Throttle(WRONG)
        self._open: list[str] = []  # the accounts of the streams
        self._closed = False
        self._tells: set[Callable[[], None]] = set()

    def routes(self) -> Sequence[BaseRoute]:
        doing: dict[str, _Doing] = {
            "act": lambda phones, account, said: phones.act(
                account, said.get("what", ""), said.get("call", ""), said.get("number", "")
            ),
            "note": lambda phones, account, said: phones.note(
                account, said.get("call", ""), said.get("notes", "")
            ),
            "choose": lambda phones, account, said: phones.choose(
                account, said.get("call", ""), said.get("person", "")
            ),
        }
        return [
            Route("/softphone", self.page, methods=["GET"]),
            Route("/softphone/embed.js", self.embed, methods=["GET"]),
            Route("/softphone/pair", self.pair, methods=["POST"]),
            Route("/softphone/unpair", self.unpair, methods=["POST"]),
            Route("/softphone/events", self.events, methods=["GET"]),
            *(Route(f"/softphone/{name}", self._done(do), methods=["POST"]) for name, do in doing.items()),
        ]

    def close(self) -> None:
        """Ends all streams; from any thread."""
        self._closed = True
        for tell in list(self._tells):
            tell()

    # ── The page ─────────────────────────────────────────────────────────────────────────────────────────────

    async def page(self, request: Request) -> Response:
        origins = list(self._phones.origins) if self._phones is not None else []
        answer = self._site.pages.html("softphone.html", origins=" ".join(origins))
        answer.headers["Content-Security-Policy"] = _POLICY.format(" ".join(origins) or "'none'")
        return answer

    async def embed(self, request: Request) -> Response:
        file = self._site.pages.files.get("embed.js")
        if file is None:
            return self._site.sorry(404, "There is no such file.")
        answer = file.response("")
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # there is nothing in it but code
        return answer

    # ── Who is there ─────────────────────────────────────────────────────────────────────────────────────────

    async def pair(self, request: Request) -> Response:
        said = await self._read(request)
        if isinstance(said, Response):
            return said
        found = None
        if self._phones is not None and said.get("code"):
            phones, code = self._phones, said["code"]
            try:
                found = await self._site.in_thread(lambda: phones.pair(code))
            except Failure as error:
                return _sorry(error)
        if found is None:
            return self._wrong(request, "a code that pairs nothing: unknown, used or too old")
        account, token = found
        log.info("a softphone was paired with %s", account, extra={"action": "telephone.paired"})
        return JSONResponse({"account": account, "token": token})

    async def unpair(self, request: Request) -> Response:
        known = await self._known(request)
        if isinstance(known, Response):
            return known
        phones, _, token = known
        try:
            await self._site.in_thread(lambda: phones.forget(token))
        except Failure as error:
            return _sorry(error)
        return Response(status_code=204)

    async def _known(self, request: Request) -> tuple[Phones, str, str] | Response:
        """The telephones, whose they are, and the token that says so."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        phones = self._phones
        if phones is None or scheme.lower() != "bearer" or not 20 <= len(token) <= 100:
            return self._wrong(request, "a softphone without a token")
        try:
            account = await self._site.in_thread(lambda: phones.account(token))
        except Failure as error:
            return _sorry(error)
        if account is None:
            return self._wrong(request, "a softphone whose token is not known, or not any more")
        return phones, account, token

    def _wrong(self, request: Request, reason: str) -> Response:
        self._site.refuse(request, reason)
        if not self._throttle.take():
            return JSONResponse({"sentence": "Too many tries. Wait a minute."}, 429)
        return JSONResponse({"sentence": "This softphone is not paired, or not any more."}, 401)

    async def _read(self, request: Request) -> _Said | Response:
        """A flat object of texts."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return self._bad(request, "a request that is not JSON")
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    return self._bad(request, "a request that is too large")
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            said = json.loads(body)
            json.dumps(
                said, ensure_ascii=False
            ).encode()  # half a surrogate pair: no server takes that as a note
        except (ValueError, RecursionError):
            return self._bad(request, "a request that cannot be read")
        if not isinstance(said, dict) or not all(isinstance(v, str) for v in said.values()):
            return self._bad(request, "a request that says something else than it may")
        return said

    def _bad(self, request: Request, reason: str) -> Response:
        self._site.refuse(request, reason)
        return JSONResponse({"sentence": "This cannot be read."}, 400)

    # ── What is done ─────────────────────────────────────────────────────────────────────────────────────────

    def _done(self, do: _Doing) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            known = await self._known(request)
            if isinstance(known, Response):
                return known
            said = await self._read(request)
            if isinstance(said, Response):
                return said
            phones, account, _ = known
            try:
                await self._site.in_thread(lambda: do(phones, account, said), slow=True)
            except Failure as error:
                return JSONResponse({"sentence": error.message}, 409)
            return Response(status_code=204)

        return endpoint

    # ── What is told ─────────────────────────────────────────────────────────────────────────────────────────

    async def events(self, request: Request) -> Response:
        known = await self._known(request)
        if isinstance(known, Response):
            return known
        phones, account, token = known
        if self._full(account):
            return JSONResponse({"sentence": "Too many softphones are open."}, 503, {"Retry-After": "60"})
        return StreamingResponse(self._stream(phones, account, token), media_type="text/event-stream")

    def _full(self, account: str) -> bool:
        mine = self._open.count(account)
        return self._site.streams.full or len(self._open) >= MOST or mine >= MOST_EACH

    async def _stream(self, phones: Phones, account: str, token: str) -> AsyncIterator[str]:
        if self._full(account):  # by those who were let in since
            return
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is over already
                loop.call_soon_threadsafe(changed.set)

        end = phones.listen(account, told)
        self._tells.add(told)
        self._open.append(account)
        try:
            with self._site.streams.one():
                async for event in self._changes(phones, account, token, changed):
                    yield event
        finally:
            self._open.remove(account)
            self._tells.discard(told)
            end()

    async def _changes(
        self, phones: Phones, account: str, token: str, changed: asyncio.Event
    ) -> AsyncIterator[str]:
        known: dict[str, Any] | None = None
        while not self._closed:
            changed.clear()
            try:
                still = await self._site.in_thread(lambda: phones.account(token))
                standing = await self._site.in_thread(lambda: phones.standing(account))
            except Failure:
                return
            if still != account:
                yield _event("over", {})
                return
            for event in _differences(account, known, standing):
                yield event
            known = standing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SIGN_OF_LIFE):
                    await changed.wait()
                    continue
            yield ":\n\n"


def _sorry(error: Failure) -> Response:
    return JSONResponse({"sentence": error.message}, 503, {"Retry-After": "10"})


def _differences(account: str, known: dict[str, Any] | None, standing: dict[str, Any]) -> list[str]:
    """All at first, then one event for each call that has changed."""
    if known is None:
        return [_event("all", {"account": account, **standing})]
    before = {call["key"]: call for call in known["calls"]}
    events = [_event("call", call) for call in standing["calls"] if before.get(call["key"]) != call]
    there = {call["key"] for call in standing["calls"]}
    events += [_event("gone", {"key": key}) for key in before if key not in there]
    if known["line"] != standing["line"]:
        events.append(_event("line", standing["line"]))
    return events


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
