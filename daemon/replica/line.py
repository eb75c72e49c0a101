"""The way to the upstream: how it is to be used, and whether it can be."""

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

from crmsync.connectors.errors import ConnectorError

__all__ = ["Line", "Mode"]

log = logging.getLogger(__name__)
PAUSE = 15.0  # seconds after a failure in which nobody waits for another one


class Mode(StrEnum):
    ONLINE = "online"  # reads and writes through to the CRM
    HYBRID = "hybrid"  # reads here, writes through
    OFFLINE = "offline"  # all here; a pass brings it there


class Line:
    """Safe for threads. While the upstream does not answer, the mode is offline, whatever was configured."""

    def __init__(
        self,
        mode: Mode = Mode.HYBRID,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
    ) -> None:
        self.configured = mode
        self._monotonic, self._pause = monotonic, pause
        self._lost: float | None = None
        self._lock = Lock()

    @property
    def mode(self) -> Mode:
        """The one that holds now."""
        return Mode.OFFLINE if self._lost is not None else self.configured

    @property
    def reading(self) -> bool:
        """Whether a read is to go to the upstream."""
        return self.configured is Mode.ONLINE and self._worth_trying()

    @property
    def writing(self) -> bool:
        """Whether a write is to go to the upstream."""
        return self.configured is not Mode.OFFLINE and self._worth_trying()

    def answers(self) -> None:
        with self._lock:
            back, self._lost = self._lost is not None, None
        if back:
            log.info("the CRM answers again: %s", self.configured, extra={"action": "replica.online"})

    def fails(self, error: ConnectorError) -> None:
        with self._lock:
            first, self._lost = self._lost is None, self._monotonic()
        if first:
            log.warning(
                "the CRM does not answer, the replica goes on offline: %s",
                error,
                extra={"action": "replica.offline"},
            )

    def _worth_trying(self) -> bool:
        lost = self._lost
        return lost is None or self._monotonic() - lost >= self._pause
