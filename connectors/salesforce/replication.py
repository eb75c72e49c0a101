"""What a replica asks of a CRM: whole objects with all their fields, by windows of time, and writes row by row.

No mapping and no columns here: rows go as the REST API writes them. Everything is bounded by what changed, and streams.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crmsync.connectors.contract import Done, Outcome
from crmsync.connectors.errors import ProtocolError
from crmsync.connectors.salesforce import faults, soap, soql
from crmsync.connectors.salesforce.client import Answer, Client, Row
from crmsync.connectors.salesforce.faults import Malformed
from crmsync.connectors.salesforce.values import instant

_STAMP = "SystemModstamp"
_EACH = ("Id", _STAMP)
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Deletions:
    ids: Sequence[str]
    earliest: datetime  # what was deleted before is no longer told
    covered: datetime  # complete up to here


@dataclass(frozen=True, slots=True)
class Replication:
    """One login's view. Safe to use from several threads, as its client is."""

    client: Client

    def who(self) -> tuple[str, str]:
        """Ids of the organisation and of the user that we are; logs in where there is no session."""
        return self.client.who()

    def clock(self) -> datetime:
        """The server's clock as it tells it: whole seconds, and up to two behind. One request."""
        told = self.client.get(f"{self.client.root}/sobjects", "the list of objects").told
        if told is None:
            raise ProtocolError(
                "the CRM does not say what time it has", hint="is a proxy removing Date headers?"
            )
        return told

    def clock_offset(self) -> timedelta:
        return self.client.clock_offset()

    def requests(self) -> int:
        return self.client.requests()

    @property
    def usage(self) -> float:
        """Share of the organisation's daily requests that is used up, as last told."""
        return self.client.usage

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def describe(self, table: str) -> Mapping[str, object]:
        """The whole reply."""
        data = self.client.get(f"{self.client.root}/sobjects/{soql.name(table)}/describe", table).data
        if not isinstance(data, Mapping):
            raise ProtocolError(f"the CRM describes {table} in a form that we do not understand")
        return data

    def deleted(self, table: str, start: datetime, end: datetime) -> Deletions:
        """Whole minutes: the server drops seconds."""
        span = f"start={_minute(start)}&end={_minute(end)}"
        data = self.client.get(f"{self.client.root}/sobjects/{table}/deleted/?{span}", table).data
        try:
            if not isinstance(data, Mapping):
                raise TypeError("no object")
            return Deletions(
                tuple(soql.id18(str(row["id"])) for row in data["deletedRecords"]),
                instant(str(data["earliestDateAvailable"])),
                instant(str(data["latestDateCovered"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"the CRM's list of deleted {table} has an unknown form") from error

    def earliest(self, table: str) -> datetime | None:
        """When the row that has not been touched for longest was; None: there is no row."""
        text = soql.select(("SystemModstamp",), table, order="SystemModstamp") + " LIMIT 1"
        row = next(iter(self.client.rows(text, table)), None)
        return None if row is None else instant(str(row["SystemModstamp"]))

    def modified(
        self, table: str, fields: Sequence[str], start: datetime, end: datetime
    ) -> Iterator[Sequence[Row]]:
        """Living rows stamped in the window, a page at a time; its end is not part of it."""
        where = f"SystemModstamp >= {soql.literal(start)} AND SystemModstamp < {soql.literal(end)}"
        return self._pages(table, fields, where, order="SystemModstamp,Id")

    def listing(self, table: str) -> Iterator[Sequence[str]]:
        """The ids of all living rows, archived activities too, a page at a time: complete, or an exception."""
        text = soql.select(("Id",), table, "IsDeleted = false")
        for page in self.client.query(text, table, deleted=True):
            yield [_id(row) for row in page.rows]

    def created(
        self, table: str, fields: Sequence[str], user: str, since: datetime
    ) -> Iterator[Sequence[Row]]:
        """What this user has made since."""
        where = f"CreatedById = {soql.quote(user)} AND CreatedDate >= {soql.literal(since)}"
        return self._pages(table, fields, where, order="CreatedDate,Id")

    def read(self, table: str, fields: Sequence[str], ids: Sequence[str]) -> Iterator[Row]:
        """These rows, deleted ones with `IsDeleted`, as far as the login may see them."""
        for some in soql.batches(ids):
            where = soql.within("Id", some)
            pieces = _pieces(fields, table, where)
            if len(pieces) == 1:
                yield from self.client.rows(soql.select(fields, table, where), table, deleted=True)
            else:
                yield from self._joined(table, pieces, some)

    def _joined(self, table: str, pieces: Sequence[Sequence[str]], ids: Sequence[str]) -> Iterator[Row]:
        """Rows that no single query can name all fields of. One that is changed between two of the queries is read
        again; after a few times it is taken as it is, for the next window has it once more."""
        for attempt in range(_ATTEMPTS):
            where = soql.within("Id", ids)
            parts = [
                {
                    _id(row): row
                    for row in self.client.rows(soql.select(piece, table, where), table, deleted=True)
                }
                for piece in pieces
            ]
            whole = [i for i in parts[0] if all(i in part for part in parts)]
            torn = [i for i in whole if len({part[i].get(_STAMP) for part in parts}) > 1]
            last = attempt == _ATTEMPTS - 1
            for record_id in whole:
                if last or record_id not in torn:
                    yield {name: value for part in parts for name, value in part[record_id].items()}
            if not torn:
                return
            ids = torn

    def _pages(
        self, table: str, fields: Sequence[str], where: str, order: str = ""
    ) -> Iterator[Sequence[Row]]:
        if len(_pieces(fields, table, where, order)) == 1:
            for page in self.client.query(soql.select(fields, table, where, order), table):
                yield page.rows
            return
        for page in self.client.query(soql.select(("Id",), table, where, order), table):
            rows = self.read(table, fields, [_id(row) for row in page.rows])
            yield [row for row in rows if not row.get("IsDeleted")]

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, table: str, rows: Sequence[Row]) -> list[Outcome]:
        """An outcome for each row, in order; a row that is refused keeps none of the others out."""
        return self._write("POST", table, [("", row) for row in rows])

    def update(self, table: str, rows: Mapping[str, Row]) -> list[Outcome]:
        """`rows`: what changes, by id."""
        return self._write("PATCH", table, list(rows.items()))

    def delete(self, table: str, ids: Sequence[str]) -> list[Outcome]:
        """Already gone is Stale."""
        path = f"{self.client.root}/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        return _outcomes(self.client.call("DELETE", path, table), list(ids), table)

    def convert(self, leads: Sequence[soap.Conversion]) -> list[Outcome]:
        """An outcome for each lead, in order."""
        return [each for some in soql.batches(leads, soap.LEADS) for each in self._convert(some)]

    def _convert(self, leads: Sequence[soap.Conversion]) -> list[Outcome]:
        """In halves when the server refuses the message as a whole, until the lead at fault stands alone."""
        try:
            answer = self.client.soap(lambda token: soap.convert_lead(token, leads), "Lead")
        except Malformed as refusal:
            if len(leads) == 1:
                return [faults.outcome(leads[0].lead, [refusal.fault])]
            half = len(leads) // 2
            return self._convert(leads[:half]) + self._convert(leads[half:])
        return soap.outcomes(answer, leads)

    def _write(self, method: str, table: str, rows: Sequence[tuple[str, Row]]) -> list[Outcome]:
        """When the server refuses a request as a whole, because it cannot parse one of the rows, halves are sent until
        that row stands alone."""
        if not rows:
            return []
        path = f"{self.client.root}/composite/sobjects"
        records = [
            {"attributes": {"type": table}, **({"Id": row_id} if row_id else {}), **row}
            for row_id, row in rows
        ]
        try:
            answer = self.client.call(method, path, table, body={"allOrNone": False, "records": records})
        except Malformed as refusal:
            if len(rows) == 1:
                return [faults.outcome(rows[0][0], [refusal.fault])]
            half = len(rows) // 2
            return self._write(method, table, rows[:half]) + self._write(method, table, rows[half:])
        return _outcomes(answer, [row_id for row_id, _ in rows], table)


def _outcomes(answer: Answer, ids: Sequence[str], table: str) -> list[Outcome]:
    results = answer.data
    if not isinstance(results, list) or len(results) != len(ids):
        raise ProtocolError(f"the CRM did not say what became of each {table}")
    return [_outcome(row_id, result, table) for row_id, result in zip(ids, results, strict=True)]


def _outcome(row_id: str, result: object, table: str) -> Outcome:
    given = result if isinstance(result, Mapping) else {}
    if given.get("success") is not True:
        return faults.outcome(row_id, faults.faults(given.get("errors") or []))
    made = str(given.get("id") or row_id)
    if not soql.is_id(made):
        raise ProtocolError(f"the CRM made a {table} without saying its id")
    return Done(soql.id18(made), "")


def _id(row: Row) -> str:
    return soql.id18(str(row.get("Id")))


def _pieces(fields: Sequence[str], table: str, where: str, order: str = "") -> list[list[str]]:
    """The fields, as few queries as can name them; each of several also says which row it is of, and when it was."""
    if soql.encoded_size(soql.select(fields, table, where, order)) <= soql.MAX_QUERY:
        return [list(fields)]
    room = soql.MAX_QUERY - soql.encoded_size(soql.select(_EACH, table, where, order))
    pieces: list[list[str]] = []
    used = room
    for field in (each for each in fields if each not in _EACH):
        if used + len(field) + 1 > room or not pieces:
            pieces.append(list(_EACH))
            used = 0
        pieces[-1].append(field)
        used += len(field) + 1
    return pieces


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z")
