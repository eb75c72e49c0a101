"""Streaming notifications: that something has changed, told over a connection that stays open."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from tests.servers.ews.answers import message
from tests.servers.ews.folders import Caller
from tests.servers.ews.operations import Operations
from tests.servers.ews.place import Folder, Item, Place, Refusal
from tests.servers.ews.schema import Element, M, T
from tests.servers.ews.settling import stamp


@dataclass
class _Subscription:
    folders: set[str]
    events: set[str]
    waiting: list[tuple[str, Folder, Item]] = field(default_factory=list)


class Streams:
    """``minute``: how many seconds a minute of ConnectionTimeout lasts here."""

    def __init__(self, place: Place, operations: Operations) -> None:
        self.place = place
        self.operations = operations
        self.subscriptions: dict[str, _Subscription] = {}
        self.open = 0  # connections that wait for events
        self.minute = 60.0
        self._closed = False
        place.listeners.append(self._told)

    def close(self) -> None:
        with self.place.lock:
            self._closed = True
            self.place.lock.notify_all()

    def _told(self, folder: Folder, event: str, item: Item) -> None:
        for subscription in self.subscriptions.values():
            if folder.id in subscription.folders and event in subscription.events:
                subscription.waiting.append((event, folder, item))
        self.place.lock.notify_all()

    def subscribe(self, caller: Caller, request: Element) -> list[Element]:
        def do(element: Element) -> list[Element]:
            folders = {self.operations.target(caller, e).id for e in element.find(T + "FolderIds")}
            id = f"sub-{self.place.tick()}"
            events = {e.text or "" for e in element.find(T + "EventTypes")}
            self.subscriptions[id] = _Subscription(folders, events)
            answer = etree.Element(M + "SubscriptionId")
            answer.text = id
            return [answer]

        return self.operations.each("Subscribe", list(request), do)

    def unsubscribe(self, caller: Caller, request: Element) -> list[Element]:
        self.subscriptions.pop(request.findtext(M + "SubscriptionId") or "", None)
        self.place.lock.notify_all()
        return [message("Unsubscribe")]

    def get_streaming_events(self, caller: Caller, request: Element) -> list[Element]:
        """The first document of the answer, with what the rest needs to know."""
        ids = [e.text or "" for e in request.find(M + "SubscriptionIds")]
        if any(id not in self.subscriptions for id in ids):
            raise Refusal("ErrorSubscriptionNotFound", "The subscription was not found.")
        first = _status("OK")
        first.set("Ids", " ".join(ids))
        first.set("Minutes", request.findtext(M + "ConnectionTimeout") or "1")
        return [first]

    def documents(self, first: bytes, wrap: Callable[[Element], bytes]) -> Iterator[bytes]:
        asked = next(etree.fromstring(first).iter(M + "GetStreamingEventsResponseMessage"))
        ids, deadline = (
            (asked.get("Ids") or "").split(),
            time.monotonic() + float(asked.get("Minutes") or 1) * self.minute,
        )
        yield wrap(_status("OK"))
        with self.place.lock:
            self.open += 1
            self.place.lock.notify_all()
        try:
            while True:
                with self.place.lock:
                    told = self._next(ids, deadline)
                if told is None:
                    yield wrap(_status("Closed"))
                    return
                yield wrap(told)
        finally:
            with self.place.lock:
                self.open -= 1
                self.place.lock.notify_all()

    def _next(self, ids: list[str], deadline: float) -> Element | None:
        """The next notification; None when there will be none. The lock is held, and let go while waiting."""
        while True:
            if self._closed or any(id not in self.subscriptions for id in ids):
                return None
            for id in ids:
                waiting = self.subscriptions[id].waiting
                if waiting:
                    events, waiting[:] = list(waiting), []
                    return _notification(id, events)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.place.lock.wait(min(left, 1.0))


def _status(word: str) -> Element:
    answer = message("GetStreamingEvents")
    etree.SubElement(answer, M + "ConnectionStatus").text = word
    return answer


def _notification(id: str, events: list[tuple[str, Folder, Item]]) -> Element:
    notifications = etree.Element(M + "Notifications")
    inside = etree.SubElement(notifications, M + "Notification")
    etree.SubElement(inside, T + "SubscriptionId").text = id
    for event, folder, item in events:
        told = etree.SubElement(inside, T + event)
        etree.SubElement(told, T + "TimeStamp").text = stamp(item.modified)
        etree.SubElement(told, T + "ItemId", Id=item.id, ChangeKey=item.change_key)
        etree.SubElement(told, T + "ParentFolderId", Id=folder.id, ChangeKey="AQAAAA==")
    return message("GetStreamingEvents", notifications)
