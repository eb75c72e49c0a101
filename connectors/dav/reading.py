"""Items out of one collection: listed, fetched, looked at again before a write."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import TypeAlias, TypeVar

from crmsync.connectors.contract import Gone, Hidden, Record, Ref, Unreadable
from crmsync.connectors.dates import http_date
from crmsync.connectors.dav import contentline, wire
from crmsync.connectors.dav.client import Dav, Refusal
from crmsync.connectors.dav.files import MAX_ATTACHMENT, Files
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.habits import Habits, Times
from crmsync.connectors.dav.item import Malformed, NotOurs
from crmsync.connectors.dav.natives import Natives
from crmsync.connectors.dav.place import Place
from crmsync.connectors.errors import ConnectorError, ProtocolError
from crmsync.connectors.http import Response, TooLarge

BATCH = 100  # items of one multiget
MAX_ITEM = 4_000_000  # bytes; RFC 6352 lets a server say 100 KB, real contacts with photos reach 2 MB
_MANY = 25  # items beyond which one listing is cheaper than asking each

NOTHING_MEANT: Mapping[str, Record] = {}

T = TypeVar("T")
Found: TypeAlias = Record | Gone | Hidden | Unreadable


class _OneByOne(ConnectorError):
    """The server does not do multiget."""


class _Smaller(ConnectorError):
    """The server cannot answer for these items together; one of them breaks it (Xandikos 0.4.10: 500 for a whole
    multiget when one item is not UTF-8)."""


class Reader:
    def __init__(
        self,
        dav: Dav,
        place: Place,
        flavour: Flavour,
        habits: Habits,
        *,
        default_zone: tzinfo = UTC,
        max_item: int = MAX_ITEM,
        max_attachment: int = MAX_ATTACHMENT,
    ) -> None:
        self._dav = dav
        self._place = place
        self._flavour = flavour
        self._habits = habits
        self._zone = default_zone
        self._max_item = max_item
        self.files = Files(dav, max_attachment)
        self._natives = Natives()

    def forget(self) -> None:
        """A new cycle begins: what was remembered may be out of date. (There are servers whose ETags start again when
        an item is deleted and made again: an old one would then fit another text.)"""
        self._natives = Natives()

    def remembered(self, item: str, version: str) -> Record | None:
        return self._natives.get(item, version)

    def remember(self, record: Record) -> None:
        self._natives.put(record)

    def listing(self) -> Iterator[Ref]:
        """Every item: complete, or ProtocolError and its kin."""
        properties = (wire.ETAG, wire.RESOURCE_TYPE)
        seen_itself = False
        for answer in self._dav.propfind(self._place.path, properties, depth=1):
            if self._place.is_self(answer.href):
                seen_itself = True
                self._complete(answer, "the collection")
            elif (item := self._child(answer)) is not None and answer.status not in (404, 410):
                self._complete(answer, item)
                yield Ref(item, version_of(answer.texts.get(wire.ETAG)))
        if not seen_itself:
            raise ProtocolError(
                f"{self._dav.url(self._place.path)}: the listing does not contain the collection itself; not believed"
            )

    def fetch(self, ids: Sequence[str]) -> Iterator[Found]:
        """As ``look``; what was found is remembered, so that writing to it needs no second read."""
        yield from (Hidden(id) for id in ids if not self._place.can_hold(id))
        for found in self.look([id for id in ids if self._place.can_hold(id)]):
            if isinstance(found, Record):
                self.remember(found)
            yield found

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        """For servers that leave the time out of a multiget (Radicale 3.9)."""
        if self._habits.times in (Times.INLINE, Times.NEVER):
            return {}
        times = self._changed_at([item.id for item in items if self._place.can_hold(item.id)])
        told = ((item, *times[item.id]) for item in items if item.id in times)
        return {item.id: moment for item, version, moment in told if version == item.version}

    def look(self, ids: Sequence[str], meant: Mapping[str, Record] = NOTHING_MEANT) -> Iterator[Found]:
        """One answer for each id. ``meant``: items as they have just been written; one that stands there in the very
        text is not read again."""
        properties = (wire.ETAG, wire.MODIFIED, self._flavour.data)
        for batch in batched(ids, BATCH):
            for item, answer in self._answers(batch, properties):
                yield (self._judged(item, answer, meant.get(item)) if answer else None) or self._single(item)

    def versions(self, ids: Sequence[str]) -> Iterator[Ref | Gone | Hidden]:
        """Like ``look``, without the items themselves."""
        for batch in batched(ids, BATCH):
            for item, answer in self._answers(batch, (wire.ETAG,)):
                status, etag = (answer.status, answer.texts.get(wire.ETAG)) if answer else (0, None)
                if status != 404 and not etag:
                    head = self._dav.head(self._place.href(item))
                    status, etag = head.status, head.headers.get("ETag")
                if status in (404, 410):
                    yield Gone(item)
                else:
                    yield Ref(item, version_of(etag)) if status == 200 else Hidden(item)

    def with_uid(self, uid: str) -> str | None:
        """The item that carries this UID; None also where the server cannot search. Servers look for the text anywhere
        in the UID (RFC 4791 9.7.5), so what they find is looked at."""
        for component in self._flavour.kinds:
            path = ("VCALENDAR", component) if component else ()
            body = wire.uid_query(self._flavour.query, path, uid)
            try:
                answers = list(self._dav.report(self._place.path, body, depth=1, judge=self._one_by_one))
            except (_OneByOne, _Smaller):
                return None
            alike = [i for a in answers if a.status == 200 and (i := self._child(a)) is not None]
            looked = list(self.look(alike[:BATCH]))
            broken = [found.id for found in looked if isinstance(found, Unreadable)]
            exact = [found.id for found in looked if isinstance(found, Record) and found.uid == uid]
            if exact or len(alike) == len(broken) == 1:
                return (exact or broken)[0]
        return None

    def record(self, item: str, version: str, text: str, modified: datetime | None = None) -> Found:
        """What a text says. A journal entry or free/busy time is nobody's business: it counts as not seen."""
        if len(text) > self._max_item:
            return Unreadable(item, version, self._too_large())
        text = crlf(text)
        try:
            read = self._flavour.format.read(text, default_zone=self._zone)
        except NotOurs:
            return Hidden(item)
        except Malformed as error:
            return Unreadable(item, version, error.rule, tags=_tags(text))
        return Record(
            id=item,
            version=version,
            kind=read.kind,
            columns=read.columns,
            modified=modified,
            uid=read.uid,
            tags=read.tags,
            stamp=read.stamp,
            native=text,
            untouchable=read.untouchable,
            private=read.private,
            attachments=self.files.carried(read.files),
        )

    def _answers(
        self, ids: Sequence[str], properties: Iterable[str]
    ) -> Iterator[tuple[str, wire.Answer | None]]:
        """One answer for each id; None where the server left it out, so that it has to be asked for by itself."""
        pending = dict.fromkeys(ids)
        hrefs = [self._place.href(item) for item in pending]
        split = False
        try:
            for answer in self._dav.multiget(
                self._flavour.multiget, self._place.path, hrefs, properties, self._one_by_one
            ):
                item = self._place.item(answer.href)
                if item is not None and item in pending:
                    del pending[item]
                    yield item, answer
        except (wire.NotXml, _Smaller):
            self._alive()
            split = len(pending) > 1
        except _OneByOne:
            split = False
        rest = list(pending)
        if split:
            yield from self._answers(rest[: len(rest) // 2], properties)
            yield from self._answers(rest[len(rest) // 2 :], properties)
        else:
            yield from ((item, None) for item in rest)

    def _one_by_one(self, refusal: Refusal) -> ConnectorError:
        if refusal.status in (500, 507, 413):
            return _Smaller(f"{refusal.what}: {refusal.status}")
        if refusal.status in (400, 405, 415, 422, 501) or (refusal.status == 403 and refusal.conditions):
            return _OneByOne(f"{refusal.what}: {refusal.status}")
        return self._dav.error(refusal)

    def _judged(self, item: str, answer: wire.Answer, meant: Record | None) -> Found | None:
        if answer.status in (404, 410):
            return Gone(item)
        if answer.status in (401, 403):
            return Hidden(item)
        text = answer.texts.get(self._flavour.data)
        if not text:
            return None
        if (modified := answer.modified()) is not None:
            self._habits.times = Times.INLINE
        version = version_of(answer.texts.get(wire.ETAG))
        if meant is not None and crlf(text) == meant.native:
            return replace(meant, version=version, modified=modified)
        return self.record(item, version, text, modified)

    def _single(self, item: str) -> Found:
        href = self._place.href(item)
        try:
            answer = self._dav.get(href, limit=self._max_item)
        except TooLarge:
            return Unreadable(item, version_of(self._dav.head(href).headers.get("ETag")), self._too_large())
        if answer.status in (404, 410):
            return Gone(item)
        if answer.status == 403:
            return Hidden(item)
        if answer.status != 200:
            self._alive()
            return Unreadable(item, "", f"the server answers {answer.status} when asked for it")
        return self._decoded(item, answer)

    def _alive(self) -> None:
        """One item's fault, or the server's? Raises when the collection as such does not answer either."""
        for _ in self._dav.propfind(self._place.path, (wire.RESOURCE_TYPE,), depth=0):
            pass

    def _decoded(self, item: str, answer: Response) -> Found:
        version = version_of(answer.headers.get("ETag"))
        try:
            text = contentline.decode(answer.body)
        except Malformed as error:
            return Unreadable(item, version, error.rule, tags=_tags(answer.body.decode(errors="replace")))
        return self.record(item, version, text, http_date(answer.headers.get("Last-Modified")))

    def _changed_at(self, ids: Sequence[str]) -> Mapping[str, tuple[str, datetime]]:
        """Version and time of the last change. A few are asked one by one: a listing costs as much as the collection
        is large."""
        if len(ids) > _MANY:
            answers = self._dav.propfind(self._place.path, (wire.ETAG, wire.MODIFIED), depth=1)
        else:
            answers = (answer for item in ids for answer in self._timed(item))
        wanted, seen = frozenset(ids), False
        times: dict[str, tuple[str, datetime]] = {}
        for answer in answers:
            item, moment = self._child(answer), answer.modified()
            seen = seen or (item is not None and answer.status == 200)
            if item in wanted and moment is not None:
                times[item] = (version_of(answer.texts.get(wire.ETAG)), moment)
        if seen and self._habits.times is Times.UNKNOWN:
            self._habits.times = Times.ASIDE if times else Times.NEVER
        return times

    def _timed(self, item: str) -> Iterator[wire.Answer]:
        try:
            yield from self._dav.propfind(
                self._place.href(item), (wire.ETAG, wire.MODIFIED), depth=0, judge=self._one_by_one_or_gone
            )
        except _OneByOne:
            return

    def _one_by_one_or_gone(self, refusal: Refusal) -> ConnectorError:
        if refusal.status in (403, 404, 410, 500):
            return _OneByOne(f"{refusal.what}: {refusal.status}")
        return self._dav.error(refusal)

    def _child(self, answer: wire.Answer) -> str | None:
        if wire.COLLECTION in answer.parts.get(wire.RESOURCE_TYPE, ()):
            return None
        return self._place.item(answer.href)

    def _complete(self, answer: wire.Answer, what: str) -> None:
        if answer.status != 200:
            raise ProtocolError(
                f"{self._dav.url(self._place.path)}: the listing is not complete, {what} has status {answer.status}"
            )

    def _too_large(self) -> str:
        return f"it is larger than {self._max_item} bytes, which is not read"


def batched(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """(itertools.batched came with Python 3.12.)"""
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch


def version_of(etag: str | None) -> str:
    """An ETag as it can be sent back in a header; empty where it cannot (then the item counts as changed each time)."""
    etag = (etag or "").strip()
    return etag if etag.isascii() and etag.isprintable() else ""


def crlf(text: str) -> str:
    """XML turns every line end into LF (XML 1.0 2.11); both formats have CRLF."""
    text = text.removeprefix("\ufeff")
    return text if "\r" in text else text.replace("\n", "\r\n")


_CATEGORIES = re.compile(r"^(?:[\w-]+\.)?CATEGORIES(?:;[^:\n]*)?:(.*)$", re.IGNORECASE | re.MULTILINE)


_SOME_ITEM = re.compile(r"^BEGIN:V(?:CARD|CALENDAR)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)


def _tags(text: str) -> frozenset[str] | None:
    """Categories of a text that breaks its format's rules, so that it is known whether anybody wants it at all; None
    for what is no item of any kind."""
    if not _SOME_ITEM.search(text):
        return None
    unfolded = re.sub(r"\r?\n[ \t]", "", text).replace("\r", "")
    return frozenset(
        tag.strip() for line in _CATEGORIES.findall(unfolded) for tag in line.split(",") if tag.strip()
    )
