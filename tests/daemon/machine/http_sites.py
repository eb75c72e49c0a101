"""Servers of the HTTP house as people have them in their hands: raw requests, by other means than the connectors'."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import urllib3

from crmsync.connectors.contract import Collection, Columns, Kind, Value
from crmsync.connectors.memory.native import Item
from crmsync.connectors.memory.traits import Traits
from tests.daemon.machine.cards import HELD, Card
from tests.daemon.machine.trouble import Fate
from tests.daemon.machine.wiretap import Line
from tests.servers.embedded_crm import EmbeddedCrm, User
from tests.servers.quirky import Quirky, Reply, Request

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRED = Reply(403, b'<error xmlns="DAV:"><valid-sync-token/></error>')


class Shelf(Quirky):
    """One address book of the DAV server, which may have a bad day."""

    empties: Callable[[], bool] = staticmethod(lambda: False)

    def _changes(self, request: Request) -> Reply:
        if "sync-token>t" not in request.body and self.empties():
            kept, self.items = self.items, {}
            try:
                return super()._changes(request)
            finally:
                self.items = kept
        return super()._changes(request)


class DavSite:
    """Address books under one login. Names of items are unique over all of them."""

    form: type[Any] = Card  # how the person's program reads and writes an item
    kind = Kind.CONTACT
    held = HELD
    media = "text/vcard"
    suffix = ".vcf"

    def __init__(
        self,
        name: str,
        shelves: Sequence[Shelf],
        fate: Fate,
        tick: Callable[[], None],
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        """``pool``: with a login, if the server wants one."""
        self.shelves = {shelf.book: shelf for shelf in shelves}
        self.traits = Traits(columns={self.kind: self.held}, tags=True, stamps=True)
        self.faults = Line(name, fate, self._changed)
        for shelf in shelves:
            shelf.empties = self.faults.empties
        self._name = name
        self._tick = tick
        self._pool = pool or urllib3.PoolManager(retries=False)
        self._serial = 0
        self._items: list[Item] | None = None

    # ── What people do ───────────────────────────────────────────────────────────────────────────────────────

    def put(self, collection: str, columns: Columns, *, tags: Iterable[str] = (), owner: str = "") -> str:
        self._serial += 1
        name = f"{self._name}-{self._serial}{self.suffix}"
        card = self.form.new(name.removesuffix(self.suffix), columns)
        card.select(frozenset(tags))
        self._store(collection, name, card)
        return name

    def edit(self, item: str, columns: Columns) -> None:
        self._rewrite(item, lambda card: card.write(columns))

    def touch(self, item: str) -> None:
        self._serial += 1
        self._rewrite(item, lambda card: card.touch(self._serial))

    def tag(self, item: str, *tags: str) -> None:
        self._rewrite(item, lambda card: card.select(card.tags | set(tags)))

    def untag(self, item: str, *tags: str) -> None:
        self._rewrite(item, lambda card: card.select(card.tags - set(tags)))

    def delete(self, item: str) -> None:
        self._take(self._shelf(item), item)

    def copy(self, item: str) -> str:
        """With a UID of its own, and everything else, the link stamp too."""
        self._serial += 1
        name = f"{self._name}-copy-{self._serial}{self.suffix}"
        card = self._card(item)
        card.rename(name.removesuffix(self.suffix))
        self._store(self._shelf(item), name, card)
        return name

    def move(self, item: str, collection: str) -> str:
        card, here = self._card(item), self._shelf(item)
        self._store(collection, item, card)
        self._take(here, item)
        return item

    # ── What bad luck does ───────────────────────────────────────────────────────────────────────────────────

    def hide(self, item: str) -> None:
        self.shelves[self._shelf(item)].hides.add(item)
        self._changed()

    def reveal(self, item: str) -> None:
        self.shelves[self._shelf(item)].hides.discard(item)
        self._changed()

    def expire_cursors(self) -> None:
        for shelf in self.shelves.values():
            shelf.log.append("nothing.vcf")
            shelf.first_token = len(shelf.log)

    # ── What stands ──────────────────────────────────────────────────────────────────────────────────────────

    def read(self, item: str) -> Item:
        return next(i for i in self.all() if i.id == item)

    def all(self) -> Sequence[Item]:
        if self._items is None:
            self._items = [item for shelf in self.shelves for item in self._listed(shelf)]
        return self._items

    def collections(self) -> Sequence[Collection]:
        return [Collection(s.book, s.name, frozenset({self.kind})) for s in self.shelves.values()]

    def close(self) -> None:
        self._pool.clear()

    def _changed(self) -> None:
        self._items = None

    def _listed(self, book: str) -> list[Item]:
        """By a listing and a GET each; what is forbidden to the service is no secret to its owner."""
        shelf = self.shelves[book]
        answer = self._send("PROPFIND", book, "", headers={"Depth": "1"})
        hrefs = [
            r.findtext("{DAV:}href") or "" for r in ElementTree.fromstring(answer.data).iter("{DAV:}response")
        ]
        names = [h.rpartition("/")[2] for h in hrefs]
        return [self._item(shelf, n) for n in names if n]

    def _item(self, shelf: Shelf, name: str) -> Item:
        etag, text = shelf.items[name]
        card = self.form(text.decode())
        return Item(
            id=name,
            collection=shelf.book,
            kind=self.kind,
            uid=card.uid,
            columns=card.columns(),
            tags=card.tags,
            hidden=name in shelf.hides,
            rest={"text": re.sub("(?m)^REV:.*$", "", card.text)},
            created=LONG_AGO,
            modified=LONG_AGO,
            serial=int(re.sub(r"\D", "", etag) or 0),
        )

    def _shelf(self, item: str) -> str:
        return next(book for book, shelf in self.shelves.items() if item in shelf.items)

    def _card(self, item: str) -> Any:
        book = self._shelf(item)
        hidden = item in self.shelves[book].hides
        if hidden:
            return self.form(self.shelves[book].items[item][1].decode())
        return self.form(self._send("GET", book, item).data.decode())

    def _rewrite(self, item: str, change: Callable[[Any], object]) -> None:
        card = self._card(item)
        change(card)
        self._store(self._shelf(item), item, card)

    def _take(self, book: str, item: str) -> None:
        self._send("DELETE", book, item)
        self.shelves[book].hides.discard(item)  # what is gone is no secret
        self._changed()

    def _store(self, book: str, name: str, card: Any) -> None:
        self._send("PUT", book, name, card.text.encode(), {"Content-Type": f"{self.media}; charset=utf-8"})
        self._changed()

    def _send(
        self, method: str, book: str, name: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        if method in ("PUT", "DELETE"):
            self._tick()
        url = self.shelves[book].url + quote(name)
        answer = self._pool.request(method, url, body=body, headers={**self._pool.headers, **(headers or {})})
        assert answer.status < 300, (method, url, answer.status)
        return answer


FIELDS: Mapping[str, str] = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "suffix": "Suffix",
    "email": "Email",
    "job_title": "Title",
    "department": "Department",
    "phone_mobile": "MobilePhone",
    "birthday": "Birthdate",
    "notes": "Description",
}


class CrmSite:
    """The CRM's contacts, through its REST API: Alice makes them, and whoever has one works on it."""

    def __init__(self, crm: EmbeddedCrm, fate: Fate, tick: Callable[[], None]) -> None:
        self.traits = Traits(columns={Kind.CONTACT: frozenset(FIELDS)})
        self.faults = Line("crm", fate, self._changed)
        self._crm = crm
        self._tick = tick
        self._pool = urllib3.PoolManager(retries=False)
        self._tokens: dict[str, str] = {}
        self._serial = 0
        self._items: list[Item] | None = None

    def put(self, collection: str, columns: Columns, *, tags: Iterable[str] = (), owner: str = "") -> str:
        row = {**_row(columns), "OwnerId": owner}
        return str(self._call("POST", "/sobjects/Contact", row)["id"])

    def edit(self, item: str, columns: Columns) -> None:
        self._patch(item, _row(columns))

    def touch(self, item: str) -> None:
        self._serial += 1
        self._patch(item, {"AssistantName": f"Assistant {self._serial}"})

    def assign(self, item: str, owner: str) -> None:
        self._patch(item, {"OwnerId": owner})

    def delete(self, item: str) -> None:
        self._call("DELETE", f"/sobjects/Contact/{item}", user=self._owner(item))

    def hide(self, item: str) -> None:
        """Nothing is hidden from an integration user."""

    reveal = hide

    def expire_cursors(self) -> None:
        """The time of a change is known for ever."""

    def read(self, item: str) -> Item:
        return next(i for i in self.all() if i.id == item)

    def all(self) -> Sequence[Item]:
        if self._items is None:
            fields = ("Id", "OwnerId", "SystemModstamp", *FIELDS.values())
            query = urlencode({"q": f"SELECT {','.join(fields)} FROM Contact ORDER BY Id"})
            self._items = [
                _item(row) for row in self._call("GET", f"/query?{query}", user=self._crm.sync)["records"]
            ]
        return self._items

    def collections(self) -> Sequence[Collection]:
        return [Collection("Contact", "Contact", frozenset({Kind.CONTACT}))]

    def close(self) -> None:
        self._pool.clear()

    def _changed(self) -> None:
        self._items = None

    def _patch(self, item: str, row: Mapping[str, Any]) -> None:
        self._call("PATCH", f"/sobjects/Contact/{item}", row, self._owner(item))

    def _owner(self, item: str) -> User:
        owner = self.read(item).owner
        return next(user for user in self._crm.users.values() if user.id == owner)

    def _call(self, method: str, path: str, body: Any = None, user: User | None = None) -> Any:
        who = user or self._crm.alice
        if method != "GET":
            self._tick()
            self._changed()
        answer = self._asked(method, path, body, who)
        if answer.status == 401:
            self._log_in(who)
            answer = self._asked(method, path, body, who)
        assert answer.status < 300, (method, path, answer.status, answer.data)
        return json.loads(answer.data) if answer.data else None

    def _asked(self, method: str, path: str, body: Any, who: User) -> urllib3.BaseHTTPResponse:
        if who.username not in self._tokens:
            self._log_in(who)
        headers = {
            "Authorization": f"Bearer {self._tokens[who.username]}",
            "Content-Type": "application/json",
        }
        url = f"{self._crm.url}/services/data/v59.0{path}"
        return self._pool.request(
            method, url, body=json.dumps(body) if body is not None else None, headers=headers
        )

    def _log_in(self, who: User) -> None:
        form = {
            "grant_type": "password",
            "client_id": self._crm.client_id,
            "client_secret": self._crm.client_secret,
            "username": who.username,
            "password": who.password,
        }
        answer = self._pool.request_encode_body(
            "POST", f"{self._crm.url}/services/oauth2/token", fields=form, encode_multipart=False
        )
        self._tokens[who.username] = json.loads(answer.data)["access_token"]


def _row(columns: Columns) -> dict[str, Any]:
    return {FIELDS[n]: v.isoformat() if isinstance(v, date) else v for n, v in columns.items()}


def _item(row: Mapping[str, Any]) -> Item:
    columns: dict[str, Value] = {name: row[field] for name, field in FIELDS.items()}
    if columns["birthday"]:
        columns["birthday"] = date.fromisoformat(str(columns["birthday"]))
    return Item(
        id=row["Id"],
        collection="Contact",
        kind=Kind.CONTACT,
        uid="",
        columns=columns,
        owner=row["OwnerId"],
        rest={"stamp": row["SystemModstamp"]},
        created=LONG_AGO,
        modified=LONG_AGO,
        serial=0,
    )
