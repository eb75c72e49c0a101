"""A CRM in memory, in a process of its own: ``python -m tests.bench.crm_server``. Just enough of the REST API for
a synchroniser: login, describe, query and queryAll with pages, sObject rows, collections. All belongs to one user.

For the bench alone: ``POST /_bench/fill?from=0&to=1000`` makes contacts, ``/_bench/edit?from=0&to=10&edit=1`` changes
some, in the order they were made.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.bench.cards import row
from tests.bench.conditions import Condition
from tests.bench.httpd import Reply, Request, as_json, clock, serve

ORGANISATION, USER = "00D000000000001AAA", "005000000000001AAA"
EXTERNAL_ID = "Crmsync_Id__c"
PAGE = 2000
_TEXTS = (
    *("Salutation", "FirstName", "MiddleName", "LastName", "Suffix", "Department", "Title", "Email", "Phone"),
    *("MobilePhone", "HomePhone", "Fax", "OtherPhone", "Description", EXTERNAL_ID),
    *(f"Mailing{f}" for f in ("Street", "City", "State", "PostalCode", "Country")),
    *(f"Other{f}" for f in ("Street", "City", "State", "PostalCode", "Country")),
)
_SYSTEM = (
    *("Id", "OwnerId", "SystemModstamp", "LastModifiedDate", "CreatedDate", "CreatedById", "IsDeleted"),
    "MasterRecordId",
)
_INDEXED = ("Id", "Email", EXTERNAL_ID, "Phone", "MobilePhone", "OtherPhone", "HomePhone", "Fax")
_SELECT = re.compile(
    r"SELECT (?P<fields>.*?) FROM (?P<table>\w+)(?: WHERE (?P<where>.*?))?(?: ORDER BY (?P<order>[\w,]+))?"
    r"(?: LIMIT (?P<limit>\d+))?$",
    re.DOTALL,
)
Shown = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _now() -> str:
    return datetime.fromtimestamp(clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


class Contacts:
    """Rows in the order of their last change, with indexes."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []  # as they were made
        self.index: dict[str, dict[str, dict[str, dict[str, Any]]]] = {f: defaultdict(dict) for f in _INDEXED}

    def save(self, id: str, fields: Mapping[str, Any]) -> str:
        row = self.rows.pop(id, None)
        stamp = _now()
        if row is None:
            id = f"003{len(self.order):012d}AAA"
            row = dict.fromkeys(_TEXTS) | {"Birthdate": None, "MasterRecordId": None, "IsDeleted": False}
            row |= {"Id": id, "OwnerId": USER, "CreatedById": USER, "CreatedDate": stamp}
            self.order.append(id)
            self.index["Id"][id.lower()][id] = row
        for field, value in fields.items():
            if field in self.index and field != "Id":
                self._move(field, row, value)
            row[field] = value
        row["SystemModstamp"] = row["LastModifiedDate"] = stamp
        self.rows[id] = row
        return id

    def _move(self, field: str, row: dict[str, Any], value: Any) -> None:
        if row.get(field):
            self.index[field][str(row[field]).lower()].pop(row["Id"], None)
        if value:
            self.index[field][str(value).lower()][row["Id"]] = row

    def since(self, stamp: str) -> list[dict[str, Any]]:
        found = []
        for id in reversed(self.rows):
            if self.rows[id]["SystemModstamp"] < stamp:
                break
            found.append(self.rows[id])
        return found[::-1]


class CrmServer:
    def __init__(self) -> None:
        self.contacts = Contacts()
        self._pages: dict[str, tuple[list[dict[str, Any]], Shown]] = {}  # a page is made when it is asked for
        self._calls = 0

    def __call__(self, request: Request) -> Reply:
        reply = self._answered(request)
        if len(reply.body) > 500 and "gzip" in request.header(b"accept-encoding"):
            # as Salesforce does (REST API Developer Guide, "Compression Headers")
            return Reply(
                reply.status, gzip.compress(reply.body, 1), f"{reply.headers}Content-Encoding: gzip\r\n"
            )
        return reply

    def _answered(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path.startswith("/_bench/"):
            return self._prepare(parts.path, query)
        if parts.path == "/services/oauth2/token":
            host = f"http://{request.header(b'host')}"
            identity = f"{host}/id/{ORGANISATION}/{USER}"
            return as_json(200, {"access_token": "bench", "instance_url": host, "id": identity})
        steps = parts.path.strip("/").split("/")[3:]
        body = json.loads(request.body) if request.body else {}
        match [request.method, *steps]:
            case [b"GET", "query" | "queryAll" as verb]:
                return self._query(query["q"], all_rows=verb == "queryAll")
            case [b"GET", "query" | "queryAll", locator]:
                return self._page(locator)
            case [b"GET", "sobjects", table, "describe"]:
                return as_json(200, _described(table))
            case [b"POST" | b"PATCH", "composite", "sobjects", *_]:
                return self._collection(body["records"])
            case [b"DELETE", "composite", "sobjects"]:
                return as_json(200, [self._deleted(id) for id in query["ids"].split(",")])
            case [b"PATCH", "sobjects", "Contact", id] if id in self.contacts.rows:
                self.contacts.save(id, body)
                return Reply(204)
            case [b"DELETE", "sobjects", "Contact", id]:
                self._deleted(id)
                return Reply(204)
            case _:
                return as_json(404, [{"errorCode": "NOT_FOUND", "message": unquote(parts.path)}])

    def _prepare(self, path: str, query: Mapping[str, str]) -> Reply:
        if path == "/_bench/edit":
            for id in self.contacts.order[int(query["from"]) : int(query["to"])]:
                self.contacts.save(id, {"Department": f"Sales {query['edit']}"})
        elif path == "/_bench/fill":
            for number in range(int(query["from"]), int(query["to"])):
                self.contacts.save("", row(number))
        elif path == "/_bench/state":
            alive = sum(not row["IsDeleted"] for row in self.contacts.rows.values())
            return as_json(200, {"items": alive})
        return Reply(204)

    def _query(self, text: str, *, all_rows: bool) -> Reply:
        found = _SELECT.match(text)
        assert found is not None, text
        where = found["where"] or ""
        rows = self._rows(found["table"], where)
        if not all_rows:
            rows = [r for r in rows if not r.get("IsDeleted")]
        if found["order"]:
            rows.sort(key=lambda r: (r["SystemModstamp"], r["Id"]))
        if found["limit"]:
            rows = rows[: int(found["limit"])]
        fields = [f.strip() for f in found["fields"].split(",")]
        return self._listed(rows, lambda row: _shown(row, fields, found["table"]))

    def _rows(self, table: str, where: str) -> list[dict[str, Any]]:
        if table == "User":
            return [{"Id": USER, "IsActive": True}]
        if table == "UserRecordAccess":
            ids = re.findall(r"'(003\w+)'", where)
            rights = dict.fromkeys(("HasReadAccess", "HasEditAccess", "HasDeleteAccess"), True)
            return [{"RecordId": id, **rights} for id in ids]
        if table != "Contact":
            return []
        if where.startswith("SystemModstamp >= ") and " AND " not in where:
            return self.contacts.since(where.split(" >= ")[1].replace("Z", "+0000"))
        return Condition(where).rows(self.contacts.rows.values(), self.contacts.index)

    def _listed(self, rows: list[dict[str, Any]], shown: Shown) -> Reply:
        if len(rows) <= PAGE:
            return as_json(200, {"totalSize": len(rows), "done": True, "records": [shown(r) for r in rows]})
        self._calls += 1
        # one reader at a time: an older one has finished
        self._pages = {f"01g{self._calls}": (rows, shown)}
        return self._page(f"01g{self._calls}-0")

    def _page(self, locator: str) -> Reply:
        name, _, start = locator.partition("-")
        (rows, shown), at = self._pages[name], int(start)
        some = [shown(row) for row in rows[at : at + PAGE]]
        answer: dict[str, Any] = {"totalSize": len(rows), "records": some}
        if at + PAGE >= len(rows):
            return as_json(200, {**answer, "done": True})
        following = f"/services/data/v59.0/query/{name}-{at + PAGE}"
        return as_json(200, {**answer, "done": False, "nextRecordsUrl": following})

    def _collection(self, records: list[dict[str, Any]]) -> Reply:
        results = []
        for record in records:
            fields = {k: v for k, v in record.items() if k not in ("attributes", "Id")}
            key = str(fields.get(EXTERNAL_ID) or "").lower()
            known = next(iter(self.contacts.index[EXTERNAL_ID].get(key, ())), "") if key else ""
            id = self.contacts.save(record.get("Id") or known, fields)
            results.append({"id": id, "success": True, "errors": [], "created": not known})
        return as_json(200, results)

    def _deleted(self, id: str) -> dict[str, Any]:
        self.contacts.save(id, {"IsDeleted": True})
        return {"id": id, "success": True, "errors": []}


def _shown(row: Mapping[str, Any], fields: list[str], table: str) -> dict[str, Any]:
    shown = {f: row.get(f) for f in fields if "." not in f}
    parents = {f.split(".")[0]: None for f in fields if "." in f}
    return {"attributes": {"type": table}, **shown, **parents}


def _described(table: str) -> dict[str, Any]:
    told = [_field(name, "string", 32000) for name in _TEXTS] + [_field("Birthdate", "date", 0)]
    told += [_field(name, "string", 18, writable=False) for name in _SYSTEM]
    told += [_field("AccountId", "reference", 18) | {"relationshipName": "Account"}]
    names = ("Subject", "Location", "StartDateTime", "EndDateTime", "IsAllDayEvent", "ShowAs", "IsPrivate")
    told += [_field(n, "string", 255) for n in (*names, "ActivityDate", "Status", "Priority")]
    rights = dict.fromkeys(("createable", "updateable", "deletable"), True)
    return {"name": table, "fields": told, **rights}


def _field(name: str, type: str, length: int, *, writable: bool = True) -> dict[str, Any]:
    rights = dict.fromkeys(("createable", "updateable"), writable)
    others = {"nillable": True, "filterable": True, "externalId": name == EXTERNAL_ID}
    return {"name": name, "type": type, "length": length, **rights, **others}


if __name__ == "__main__":
    serve(CrmServer())
