"""How the accounts stand, for everybody who looks: asked once for all of them, however many look."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from crmsync.daemon.web import words
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.words import Light, worst

COUNTED = ("pending", "parked", "held", "conflicts", "deletions")
REFUSED = "login_refused"  # the code of a login that a person has to put right
NOTICE = timedelta(days=14)  # so long before a login expires, the page says so
EVERYBODY = ""  # no account is called so
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
    counts: Mapping[str, int]  # pending, parked, held, conflicts, deletions
    refused: bool  # a login of it
    logins: tuple[str, ...]  # sentences about those that expire soon, or have
    reasons: tuple[str, ...]  # sentences: what failed in its last cycle, and what an admin should know

    def document(self) -> dict[str, Any]:
        """For the browser, as JSON."""
        return {
            "name": self.name,
            "light": self.light,
            "last_success": _text(self.last_success),
            "due": _text(self.due),
            **self.counts,
            "reasons": [*self.logins, *self.reasons],
        }


@dataclass(frozen=True, slots=True)
class Standing:
    at: datetime
    rows: Mapping[str, Row]
    replicas: tuple[Mapping[str, Any], ...] = ()  # as `status` has them

    def seen_by(self, viewer: Viewer) -> list[Row]:
        if viewer.account is not None:
            row = self.rows.get(viewer.account)
            return [row] if row is not None else []
        return list(self.rows.values())


class Board:
    """Safe to use from several threads."""

    def __init__(
        self,
        status: Callable[[Sequence[str]], Mapping[str, Any]],
        due: Callable[[], Mapping[str, datetime]],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``status``: the answer of the method, of these accounts; of all where none is named. Raises Failure."""
        self._status = status
        self._due = due
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Standing | None = None
        self._until = 0.0  # the clock's time
        self._spoilt: SimpleQueue[str] = SimpleQueue()  # names; EVERYBODY among them: all

    def read(self) -> Standing:
        """As it stands, or stood a moment ago. Raises Failure."""
        with self._lock:
            begun, spoilt = self._clock(), self._taken()
            if self._known is None or begun >= self._until or EVERYBODY in spoilt:
                self._known = self._asked()
                ended = self._clock()
                self._until = ended + max(REST, SHARE * (ended - begun))
            elif spoilt := spoilt & self._known.rows.keys():
                known = self._known
                fresh = self._asked(sorted(spoilt))
                self._known = Standing(fresh.at, {**known.rows, **fresh.rows}, known.replicas)
            return self._known

    def spoil(self, names: Sequence[str] = ()) -> None:
        """Somebody has changed something, and wants to see it: of these accounts, or of any. Never waits: it is called
        where everybody else would wait, too."""
        for name in names or (EVERYBODY,):
            self._spoilt.put(name)

    def _taken(self) -> set[str]:
        names = set()
        with suppress(Empty):
            while True:
                names.add(self._spoilt.get_nowait())
        return names

    def _asked(self, names: Sequence[str] = ()) -> Standing:
        status, due, now = self._status(names), self._due(), self._now()
        rows = {a["name"]: _row(a, due.get(a["name"]), now) for a in status["accounts"]}
        return Standing(now, rows, tuple(status.get("replicas", ())))


def light_of(rows: list[Row]) -> Light:
    return worst([row.light for row in rows])


def _expiring(account: Mapping[str, Any], now: datetime) -> Iterator[str]:
    for login in account.get("logins", ()):
        if login.get("expires"):
            left = date.fromisoformat(login["expires"]) - now.date()
            if left <= timedelta(0):
                yield f"the login of {login['name']} has expired on {login['expires']}"
            elif left <= NOTICE:
                yield f"the login of {login['name']} expires in {words.span(left)}, on {login['expires']}"


def _row(account: Mapping[str, Any], due: datetime | None, now: datetime) -> Row:
    success = account["last_success"]
    errors = [str(e["message"]) for e in account.get("errors", ())]
    return Row(
        account["name"],
        account["light"],
        datetime.fromisoformat(success) if success else None,
        due.astimezone(UTC).replace(microsecond=0) if due else None,
        {what: int(account.get(what, 0)) for what in COUNTED},
        any(e.get("code") == REFUSED for e in account.get("errors", ())),
        tuple(_expiring(account, now)),
        (*dict.fromkeys(errors), *map(str, account.get("notices", ()))),
    )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
