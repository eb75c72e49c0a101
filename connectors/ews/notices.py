"""Streaming notifications: something may have changed in the folders. A nudge: nothing depends on one arriving."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from crmsync.connectors.errors import ConnectorError, Unreachable
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.wire import M

_EVENTS = ("CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent")
_MINUTES = 29  # that a connection stays open; Exchange allows 30
_QUIET = 60.0  # seconds; Exchange says every 45 or so that the connection lives
_LONGEST_TAG = 64


class Notices:
    def __init__(self, exchange: Exchange, folders: Sequence[str], clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._folders = folders
        self._clock = clock

    def watch(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """One subscription and its connection: whoever watches decides when there is to be another one."""
        subscription = self._subscribed()
        try:
            yield
            yield from self._nudges(subscription, stopped)
        finally:
            self._ended(subscription)  # a mailbox has few of them, and they live on for half an hour

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
            return  # it was quiet for too long
        finally:
            pieces.close()  # type: ignore[attr-defined]  # a generator

    def _ended(self, subscription: str) -> None:
        with suppress(ConnectorError):
            id = wire.element("m:SubscriptionId", text=subscription)
            self._exchange.call("Unsubscribe", wire.element("m:Unsubscribe", id))

    def _subscribed(self) -> str:
        message = self._exchange.one(
            "Subscribe",
            wire.element(
                "m:Subscribe",
                wire.element(
                    "m:StreamingSubscriptionRequest",
                    wire.element("t:FolderIds", *(wire.folder_id(f) for f in self._folders)),
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
