"""How the accounts stand, for everybody who looks: asked once for all of them, however many look."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.words import Light, worst

REST = 1.0  # seconds at least between two questions
SHARE = (
    20  # and so many times as long as the last one took: a twentieth of one core at most, beside the cycles
)


@dataclass(frozen=True, slots=True)
class Row:
    """An account, as ``status`` has it, and when its next cycle is."""

    name: str
    light: str
    last_success: datetime | None
    due: datetime | None
    counts: Mapping[str, int]  # pending, parked, held, conflicts
    reasons: tuple[str, ...]  # sentences: what failed in its last cycle, and what an admin should know

    def document(self) -> dict[str, Any]:
        """For the browser, as JSON."""
        return {
            "name": self.name,
            "light": self.light,
            "last_success": _text(self.last_success),
            "due": _text(self.due),
            **self.counts,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Standing:
    at: datetime
    rows: Mapping[str, Row]
    replicas: tuple[Mapping[str, Any], ...] = ()  # as `status` has them

    def seen_by(self, viewer: Viewer) -> list[Row]:
        return [row for row in self.rows.values() if viewer.sees(row.name)]


class Board:
    """Safe to use from several threads."""

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        due: Callable[[], Mapping[str, datetime]],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``status``: the answer of the method, of all accounts; raises Failure."""
        self._status = status
        self._due = due
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Standing | None = None
        self._until = 0.0  # the clock's time

    def read(self) -> Standing:
        """As it stands, or stood a moment ago. Raises Failure."""
        with self._lock:
            begun = self._clock()
            if self._known is None or begun >= self._until:
                self._known = self._asked()
                ended = self._clock()
                self._until = ended + max(REST, SHARE * (ended - begun))
            return self._known

    def spoil(self) -> None:
        """Somebody has changed something, and wants to see it."""
        with self._lock:
            self._until = 0.0

    def _asked(self) -> Standing:
        status, due = self._status(), self._due()
        rows = {a["name"]: _row(a, due.get(a["name"])) for a in status["accounts"]}
        return Standing(self._now(), rows, tuple(status.get("replicas", ())))


def light_of(rows: list[Row]) -> Light:
    return worst([row.light for row in rows])


def _row(account: Mapping[str, Any], due: datetime | None) -> Row:
    success = account["last_success"]
    errors = [str(e["message"]) for e in account.get("errors", ())]
    return Row(
        account["name"],
        account["light"],
        datetime.fromisoformat(success) if success else None,
        due.astimezone(UTC).replace(microsecond=0) if due else None,
        {what: int(account[what]) for what in ("pending", "parked", "held", "conflicts")},
        (*dict.fromkeys(errors), *map(str, account.get("notices", ()))),
    )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
