"""Somebody who hears a switch."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony.call import Call, advanced
from crmsync.connectors.telephony.contract import Event, Switch

PATIENCE = 60.0


class Ear:
    """Hears a switch in a thread of its own, and keeps the calls."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.calls: dict[str, Call] = {}
        self.over = threading.Event()
        self._heard: queue.SimpleQueue[Event | ConnectorError | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.until(lambda: True)  # connected

    def _listen(self) -> None:
        try:
            for event in self.switch.events(list(self.calls), self.over.is_set):
                self._heard.put(event)
        except ConnectorError as error:
            self._heard.put(error)

    def until(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            event = self._heard.get(timeout=PATIENCE)
            assert time.monotonic() < deadline, self.calls
            if isinstance(event, ConnectorError):
                raise event
            if event is not None:
                call = advanced(self.calls.get(event.call), event, "US")
                assert call is not None
                self.calls[call.id] = call
            if true():
                return

    def only(self) -> Call:
        (call,) = self.calls.values()
        return call

    def stop(self) -> None:
        self.over.set()
        self._thread.join(60)
