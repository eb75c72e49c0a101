"""Writes that somebody waits for: rows as the REST API takes them, and each row's answer in the CRM's own words.

`replication` sends what was done before, and says what becomes of it; here the messages go to whoever made the request,
who has sent the values that some of them repeat.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from crmsync.connectors.errors import ProtocolError
from crmsync.connectors.salesforce import faults, soap_rows, soql
from crmsync.connectors.salesforce.client import Client, Row
from crmsync.connectors.salesforce.faults import Fault, Malformed
from crmsync.connectors.salesforce.soap_rows import Merged

MOST = 200  # rows of a request
_ANSWERS = frozenset({200, 201, 400, 404})


@dataclass(frozen=True, slots=True)
class Result:
    """`errors`: why the row was not written; none: it stands, under this id."""

    id: str
    created: bool = False
    errors: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Direct:
    """One login's view. At most MOST rows at once; with `all_or_none` they stand or fall together."""

    client: Client

    def create(self, rows: Sequence[tuple[str, Row]], *, all_or_none: bool = False) -> list[Result]:
        return self._send("POST", "", [_record(name, "", row) for name, row in rows], all_or_none)

    def update(self, rows: Sequence[tuple[str, str, Row]], *, all_or_none: bool = False) -> list[Result]:
        return self._send("PATCH", "", [_record(*row) for row in rows], all_or_none)

    def upsert(self, table: str, key: str, rows: Sequence[Row], *, all_or_none: bool = False) -> list[Result]:
        """Each row has its key among its fields."""
        path = f"/{soql.name(table)}/{soql.name(key)}"
        return self._send("PATCH", path, [_record(table, "", row) for row in rows], all_or_none)

    def delete(self, ids: Sequence[str], *, all_or_none: bool = False) -> list[Result]:
        path = f"?ids={quote(','.join(ids), safe=',')}&allOrNone={str(all_or_none).lower()}"
        answer = self.client.call("DELETE", self._path(path), "records", accept=_ANSWERS)
        return _results(answer.data, len(ids))

    def undelete(self, ids: Sequence[str]) -> list[Result]:
        return self._by_soap(ids, lambda token: soap_rows.undelete(token, ids))

    def empty(self, ids: Sequence[str]) -> list[Result]:
        """What was deleted, for good."""
        return self._by_soap(ids, lambda token: soap_rows.empty(token, ids))

    def merge(self, table: str, master: str, row: Row, losers: Sequence[str]) -> Merged:
        """`row`: what the master is given with it."""
        try:
            return soap_rows.merged(
                self.client.soap(lambda token: soap_rows.merge(token, table, master, row, losers), table)
            )
        except Malformed as refusal:
            return Merged(errors=(refusal.fault,))

    def _by_soap(self, ids: Sequence[str], message: Callable[[str], bytes]) -> list[Result]:
        try:
            told = soap_rows.refusals(self.client.soap(message, "records"), len(ids))
        except Malformed as refusal:  # the message as a whole
            told = [(refusal.fault,)] * len(ids)
        return [Result(each, errors=why) for each, why in zip(ids, told, strict=True)]

    def query(self, path: str, size: int) -> object:
        """A page of an answer, or the list of errors, as the CRM writes them."""
        headers = {"Sforce-Query-Options": f"batchSize={size}"}
        return self.client.call(
            "GET", f"{self.client.root}/{path}", "a query", headers=headers, accept=_ANSWERS
        ).data

    def _send(
        self, method: str, path: str, records: Sequence[Mapping[str, object]], all_or_none: bool
    ) -> list[Result]:
        body = {"allOrNone": all_or_none, "records": records}
        answer = self.client.call(method, self._path(path), "records", body=body, accept=_ANSWERS)
        return _results(answer.data, len(records))

    def _path(self, rest: str) -> str:
        return f"{self.client.root}/composite/sobjects{rest}"


def _record(table: str, row_id: str, row: Row) -> dict[str, object]:
    return {"attributes": {"type": table}, **({"Id": row_id} if row_id else {}), **row}


def _results(data: object, count: int) -> list[Result]:
    if not isinstance(data, list) or not data or not all(isinstance(each, Mapping) for each in data):
        raise ProtocolError("the CRM did not say what became of the records")
    if "errorCode" in data[0]:  # the request as a whole
        return [Result("", errors=tuple(faults.faults(data)))] * count
    if len(data) != count:
        raise ProtocolError("the CRM did not say what became of each record")
    return [_result(each) for each in data]


def _result(given: Mapping[str, object]) -> Result:
    made = str(given.get("id") or "")
    if given.get("success") is not True:
        told = tuple(faults.faults(given.get("errors") or []))
        return Result("", errors=told or (Fault("UNKNOWN_EXCEPTION", "the CRM gave no reason"),))
    if not soql.is_id(made):
        raise ProtocolError("the CRM wrote a record without saying its id")
    return Result(soql.id18(made), bool(given.get("created")))
