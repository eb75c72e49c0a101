"""Hearing a telephone system, and connecting again when that ends."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony.contract import Switch
from crmsync.daemon.telephony.board import Board

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before it is connected to again

Wait = Callable[[float], bool]  # seconds; True: it is over


@dataclass(slots=True)
class Watch:
    """One system."""

    name: str
    switch: Switch
    board: Board
    changed: Callable[[], None]  # it was connected, or is not any more
    trouble: str | None = ""  # why nothing is heard, for a person; None: all is well; empty: not tried yet
    over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"telephone-{self.name}", daemon=True).start()

    def stop(self) -> None:
        self.over.set()
        self.switch.close()

    def _run(self) -> None:
        try:
            watch(self, self.over.wait)
        except Exception:
            log.exception("%s is not heard any more", self.name, extra={"action": "telephone.defect"})
            self.say("This is a defect of crmsync; the log of the service has more.")

    def say(self, trouble: str | None) -> None:
        if trouble == self.trouble or self.over.is_set():
            return
        if trouble is None:
            log.info("the telephone %s is connected", self.name, extra={"action": "telephone.connected"})
        elif self.trouble is None or self.trouble == "":
            log.warning(
                "the telephone %s is not heard: %s", self.name, trouble, extra={"action": "telephone.lost"}
            )
        self.trouble = trouble
        self.changed()


def watch(one: Watch, wait: Wait) -> None:
    """Until it is over; a system that fails is tried again, later and later."""
    pause = FIRST_PAUSE
    while not one.over.is_set():
        try:
            for event in one.switch.events(one.board.going(one.name), one.over.is_set):
                pause = FIRST_PAUSE
                one.say(None)
                if event is not None:
                    one.board.hear(one.name, event)
                one.board.save()
        except ConnectorError as error:
            one.say(str(error))
        if wait(pause):
            return
        pause = min(2 * pause, LONGEST_PAUSE)
