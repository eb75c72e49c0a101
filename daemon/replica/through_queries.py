"""Queries that are the CRM's to answer, as long as nothing waits here that its answer would lack: in `online` all of
them, and wherever it can be asked those that want deleted records as well, which are not kept here."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.replica.direct import Through
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.querying import PAGE, Page, Queries
from crmsync.state.replica.store import Clock

__all__ = ["ThroughQueries"]

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")


class ThroughQueries(Queries):
    def __init__(self, store: LocalStore, through: Through, *, clock: Clock) -> None:
        super().__init__(store, clock=clock)
        self._local, self._through = store, through

    def query(
        self,
        caller: Caller,
        text: str,
        base: str,
        *,
        include_deleted: bool = False,
        page: int = PAGE,
        utc: str = "+0000",
    ) -> Page:
        line = self._through.line
        if (line.asking if include_deleted else line.reading) and self._complete():
            verb = "queryAll" if include_deleted else "query"
            try:
                return self._asked(f"{verb}?q={quote(text, safe='')}", page, utc)
            except ConnectorError as error:
                self._through.line.fails(error)
        return super().query(caller, text, base, include_deleted=include_deleted, page=page, utc=utc)

    def table(
        self, caller: Caller, text: str, *, include_deleted: bool = False, base: str = ""
    ) -> tuple[list[str], Iterator[dict[str, Any]]]:
        columns, records = super().table(caller, text, include_deleted=include_deleted, base=base)
        if not include_deleted or not self._through.line.asking or not self._complete():
            return columns, records
        try:
            first = self._asked(f"queryAll?q={quote(text, safe='')}", PAGE, "Z")
        except ConnectorError as error:
            self._through.line.fails(error)
            return columns, records
        return columns, self._following(first)

    def _following(self, page: Page) -> Iterator[dict[str, Any]]:
        """Of this page, and of those after it. Raises Fault where the CRM is gone before the last one."""
        yield from json.loads(page.records)
        while page.next is not None:
            try:
                page = self._asked(f"query/{page.next}", PAGE, "Z")
            except ConnectorError as error:
                self._through.line.fails(error)
                what = "the CRM was gone before it had told all that it found; try again"
                raise Fault("SERVER_UNAVAILABLE", what) from error
            yield from json.loads(page.records)

    def more(self, caller: Caller, locator: str) -> Page:
        try:
            return super().more(caller, locator)
        except Fault:
            if not self._through.line.asking or not re.fullmatch(r"[\w-]{1,80}", locator, re.ASCII):
                raise
        try:
            return self._asked(f"query/{locator}", PAGE, "+0000")
        except ConnectorError as error:
            self._through.line.fails(error)
            raise Fault("INVALID_QUERY_LOCATOR", "invalid query locator") from error

    def _complete(self) -> bool:
        """Whether the CRM's answer would lack nothing."""
        if self._local.main.busy:
            return False
        with self._local.database.read() as connection:
            work = self._local.work(connection)
            waiting = [work.shared.createlist, work.shared.deletelist]
            waiting += [group.tosync for group in work.tables.groups.values()]
            return not any(work.where(table, limit=1) for table in waiting)

    def _asked(self, path: str, size: int, utc: str) -> Page:
        data = self._through.writes.query(path, size)
        self._through.line.answers()
        if isinstance(data, list):
            first = data[0] if data and isinstance(data[0], dict) else {}
            raise Fault(str(first.get("errorCode")), str(first.get("message")))
        following = str(data.get("nextRecordsUrl") or "").rpartition("/")[2] or None
        records = data.get("records") or []
        if utc != "+0000":
            records = _ending(records, utc)
        return Page(int(data.get("totalSize") or 0), _dump(records), following)


def _ending(value: Any, utc: str) -> Any:
    """With datetimes that end as they are asked for."""
    match value:
        case dict():
            return {name: _ending(each, utc) for name, each in value.items()}
        case list():
            return [_ending(each, utc) for each in value]
        case str() if _UTC.fullmatch(value):
            return value[: -len("+0000")] + utc
    return value


def _dump(records: Any) -> bytes:
    return json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
