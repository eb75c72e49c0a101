"""The way to the upstream, for those who do not wait for a pass: how it is to be used, and whether it can be."""

import time
from collections.abc import Callable
from threading import Lock

from crmsync.connectors.errors import ConnectorError, Unreachable
from crmsync.daemon.replica.modes import AWAY, Mode, acting
from crmsync.state.replica.faults import Fault

__all__ = ["Line"]

PAUSE = 15.0  # seconds after a failure in which nobody waits for another one


def unnoted(error: ConnectorError | None) -> None:
    """Nobody has to know."""


class Line:
    """Safe for threads."""

    def __init__(
        self,
        wanted: Callable[[], Mode] = lambda: Mode.AUTO,
        *,
        note: Callable[[ConnectorError | None], None] = unnoted,
        away: Callable[[], bool] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
    ) -> None:
        """`wanted`: the mode that somebody has chosen. `note` hears what a conversation failed with; None:
        the upstream answers again. `away`: whether a pass, or another process, has found it gone."""
        self._wanted, self._note, self._away = wanted, note, away
        self._monotonic, self._pause = monotonic, pause
        self._lost: tuple[float, str] | None = None  # since when, and the error's code
        self._lock = Lock()

    @property
    def mode(self) -> Mode:
        """The one that holds now."""
        lost = self._lost
        return acting(self._wanted(), lost[1] if lost else "")

    @property
    def reading(self) -> bool:
        """Whether a read is to go to the upstream."""
        return self._wanted() is Mode.ONLINE and self._worth_trying()

    @property
    def writing(self) -> bool:
        """Whether a write is to go to the upstream."""
        wanted = self._wanted()
        return wanted in (Mode.ONLINE, Mode.HYBRID) or (wanted is Mode.AUTO and self._worth_trying())

    @property
    def asking(self) -> bool:
        """Whether the upstream can be asked what nobody here knows: whether a password is right, what was deleted."""
        return self._wanted() is not Mode.OFFLINE and self._worth_trying()

    def answers(self) -> None:
        with self._lock:
            back, self._lost = self._lost is not None, None
        if back:
            self._note(None)

    def fails(self, error: ConnectorError) -> None:
        with self._lock:
            first, self._lost = self._lost is None, (self._monotonic(), error.code)
        if first:
            self._note(error)

    def _heard(self, away: bool) -> None:
        with self._lock:
            if away and self._lost is None:
                self._lost = (self._monotonic(), Unreachable.code)
            elif not away and self._lost is not None and self._lost[1] in AWAY:
                self._lost = None

    def stays_here(self, error: ConnectorError) -> None:
        """What could not be sent waits for a pass, unless somebody wants it to be sent at once or not at all. Raises
        Fault."""
        self.fails(error)
        if self._wanted() is not Mode.AUTO:
            raise Fault("SERVER_UNAVAILABLE", f"The CRM cannot be reached: {error}")

    def _worth_trying(self) -> bool:
        if self._away is not None:
            self._heard(self._away())
        lost = self._lost
        return lost is None or self._monotonic() - lost[0] >= self._pause
