"""Streaming notifications: something may have changed in a folder. Only a nudge: nothing depends on one arriving."""

from collections.abc import Callable, Iterator

from crmsync.connectors.errors import Unreachable
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.wire import M

_EVENTS = ("CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent")
_MINUTES = 29  # that a connection stays open; Exchange allows 30
_QUIET = 60.0  # seconds; Exchange says every 45 or so that the connection lives
_LONGEST_TAG = 64


class Notices:
    def __init__(self, exchange: Exchange, folder: str, clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._folder = folder
        self._clock = clock

    def watch(self, stopped: Callable[[], bool]) -> Iterator[None]:
        while not stopped():
            subscription = self._subscribed()
            yield
            yield from self._nudges(subscription, stopped)

    def _nudges(self, subscription: str, stopped: Callable[[], bool]) -> Iterator[None]:
        """Until the connection ends, as it does every half hour. Only the names of events are looked for: what they
        say is asked for anyway."""
        begun = self._clock()
        rest = b""
        pieces = self._exchange.stream("GetStreamingEvents", self._listen(subscription), timeout=2 * _QUIET)
        try:
            for piece in pieces:
                if stopped() or self._clock() - begun > 60 * (_MINUTES + 2):
                    return
                seen = rest + piece
                if b"Event>" in seen:
                    yield
                if b">Closed<" in seen:
                    return
                rest = b"" if b"Event>" in seen else seen[-_LONGEST_TAG:]
        except Unreachable:
            return  # it was quiet for too long: a new connection, or the error of that one
        finally:
            pieces.close()  # type: ignore[attr-defined]  # a generator

    def _subscribed(self) -> str:
        message = self._exchange.one(
            "Subscribe",
            wire.element(
                "m:Subscribe",
                wire.element(
                    "m:StreamingSubscriptionRequest",
                    wire.element("t:FolderIds", wire.folder_id(self._folder)),
                    wire.element("t:EventTypes", *(wire.element("t:EventType", text=e) for e in _EVENTS)),
                ),
            ),
        )
        return message.findtext(M + "SubscriptionId") or ""

    @staticmethod
    def _listen(subscription: str) -> wire.Element:
        return wire.element(
            "m:GetStreamingEvents",
            wire.element("m:SubscriptionIds", wire.element("t:SubscriptionId", text=subscription)),
            wire.element("m:ConnectionTimeout", text=str(_MINUTES)),
        )
