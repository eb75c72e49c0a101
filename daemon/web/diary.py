"""The audit log of the pages: who came in, what they decided, and what was refused. It stands in the state, bounded,
for admins. A thread writes it down, so that no request waits for the disk, and many come at the price of one."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

log = logging.getLogger(__name__)

WAITING = 1000  # lines that are not written down yet; further ones stand in the log alone
BATCH = 200
LONGEST = 300  # characters of a line


@dataclass(frozen=True, slots=True)
class Line:
    at: datetime
    who: str  # an account, "an admin"; empty: nobody known
    what: str  # login, logout, decided, refused
    detail: str


class Diary:
    """Safe to use from several threads."""

    def __init__(self, keep: Callable[[Sequence[Line]], None], now: Callable[[], datetime]) -> None:
        """``keep``: writes lines down; may raise."""
        self._keep = keep
        self._now = now
        self._lines: queue.Queue[Line | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def note(self, what: str, detail: str, who: str = "") -> None:
        try:
            self._lines.put_nowait(Line(self._now(), who, what, detail[:LONGEST]))
        except queue.Full:
            log.debug("the audit log is full at the moment", extra={"action": "web.audit_full"})

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="page-audit", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """What waits is written down, if that does not take too long."""
        if self._thread is not None:
            try:
                self._lines.put(None, timeout=seconds)
            except queue.Full:
                return
            self._thread.join(seconds)

    def _run(self) -> None:
        while (first := self._lines.get()) is not None:
            batch, over = [first], False
            while len(batch) < BATCH and not self._lines.empty():
                line = self._lines.get()
                if line is None:
                    over = True
                    break
                batch.append(line)
            try:
                self._keep(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is: the lines are in the log, too
                log.error(
                    "%d lines of the audit log could not be written: %s",
                    len(batch),
                    error,
                    extra={"action": "web.audit_failed"},
                )
            if over:
                return
