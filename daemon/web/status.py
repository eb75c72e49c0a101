"""The status page, and the stream of events that keeps it up to date."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from crmsync.daemon.calls import Failure
from crmsync.daemon.web import words
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.board import Board, Row, Standing, light_of
from crmsync.daemon.web.charts import Charts
from crmsync.daemon.web.sessions import Session
from crmsync.daemon.web.site import Site, Visit

log = logging.getLogger(__name__)

SHOWN = 50  # items that do not get through, of each account
MOST = 256  # open streams
MOST_EACH = 12  # of one session: a tab each
TICK = 1.0  # seconds
SIGN_OF_LIFE = 15.0


class Status:
    def __init__(self, site: Site, board: Board, charts: Charts) -> None:
        self._site = site
        self._board = board
        self._charts = charts

    async def page(self, visit: Visit) -> Response:
        drawn = await self._charts.values(visit)
        return self._site.show("status.html", visit, **await self._values(visit.viewer), **drawn)

    async def troubled(self, visit: Visit) -> Response:
        """The part of the page that is not in the events."""
        return self._site.show("troubled.html", visit, **await self._values(visit.viewer))

    async def _values(self, viewer: Viewer) -> dict[str, Any]:
        standing: Standing = await self._site.in_thread(self._board.read)
        troubled = await self._site.ask("queue", names=viewer.names, troubled=True, limit=SHOWN)
        rows = standing.seen_by(viewer)
        return {
            "rows": [_shown(row, standing) for row in rows],
            "light": light_of(rows),
            "troubled": [{**row, "name": words.full_name(row)} for row in troubled],
            "lights": words.LIGHTS,
            "replicas": [_replica(one, standing) for one in standing.replicas] if viewer.admin else [],
        }


def _shown(row: Row, standing: Standing) -> dict[str, Any]:
    return {
        **row.document(),
        "light": words.BY_NAME[row.light],
        "ago": words.ago(row.last_success, standing.at),
        "ahead": words.ahead(row.due, standing.at),
    }


def _replica(row: Mapping[str, Any], standing: Standing) -> dict[str, Any]:
    """A copy of a CRM is everybody's: an admin sees how it stands."""
    success = row.get("last_success")
    at = datetime.fromisoformat(success) if success else None
    light = words.BY_NAME.get(str(row.get("light")), words.BY_NAME["waiting"])
    return {**row, "light": light, "ago": words.ago(at, standing.at)}


class Live:
    """Tells open pages what has changed. One question to the engine serves them all, and none is asked while nobody
    looks."""

    def __init__(self, site: Site, board: Board, *, tick: float = TICK, most: int = MOST) -> None:
        self._site = site
        self._board = board
        self._tick = tick
        self._most = most
        self._open: list[str] = []  # the sessions of the streams
        self._ticker: asyncio.Task[None] | None = None
        self._ticked = asyncio.Event()  # a new one for each look
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._standing: Standing | None = None

    def close(self) -> None:
        """Ends all streams; from any thread. Pages come back by themselves when there is a service again."""
        self._closed = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                self._loop.call_soon_threadsafe(self._tell)

    async def stream(self, visit: Visit) -> Response:
        if self._full(visit.session):
            return PlainTextResponse("too many pages are open\n", 503, {"Retry-After": "60"})
        return StreamingResponse(self._events(visit.session), media_type="text/event-stream")

    def _full(self, session: Session) -> bool:
        mine = self._open.count(session.id)
        return self._site.streams.full or len(self._open) >= self._most or mine >= MOST_EACH

    async def _events(self, session: Session) -> AsyncIterator[str]:
        if self._full(session):  # by those who were let in since
            return
        self._open.append(session.id)
        self._loop = asyncio.get_running_loop()
        try:
            if self._ticker is None or self._ticker.done():
                self._ticker = asyncio.create_task(self._look())
            with self._site.streams.one():
                async for event in self._changes(session):
                    yield event
        finally:
            self._open.remove(session.id)
            if not self._open and self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None

    async def _changes(self, session: Session) -> AsyncIterator[str]:
        told: Mapping[str, Row] = {}
        time = asyncio.get_running_loop().time
        said = time()
        yield "retry: 5000\n\n"
        while not self._closed:
            if self._site.sessions.why_over(session) is not None:
                yield "event: over\ndata: {}\n\n"
                return
            seen = told if self._standing is None else _by_name(self._standing, session.viewer)
            if seen != told:
                yield _event(told, seen)
                told, said = seen, time()
            elif time() - said >= SIGN_OF_LIFE:
                yield ":\n\n"
                said = time()
            await self._next()

    async def _next(self) -> None:
        """The next look, or time for a sign of life, should there be none."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SIGN_OF_LIFE):
                await self._ticked.wait()

    def _tell(self) -> None:
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    async def _look(self) -> None:
        while True:
            try:
                self._standing = await self._site.in_thread(self._board.read)
            except Failure as error:
                log.debug("no status for the pages: %s", error.message, extra={"action": "web.blind"})
            self._tell()
            await asyncio.sleep(self._tick)


def _by_name(standing: Standing, viewer: Viewer) -> dict[str, Row]:
    return {row.name: row for row in standing.seen_by(viewer)}


def _event(told: Mapping[str, Row], rows: Mapping[str, Row]) -> str:
    changed = [row.document() for name, row in rows.items() if told.get(name) != row]
    light = light_of(list(rows.values()))
    document = {
        "accounts": changed,
        "gone": [name for name in told if name not in rows],
        "light": {"name": light.name, "words": light.words, "meaning": light.meaning},
    }
    return f"event: status\ndata: {json.dumps(document)}\n\n"
