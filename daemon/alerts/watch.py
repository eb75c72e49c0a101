"""The thread that looks every half minute, and those that send what is to be sent. Nothing waits for them: a mail
server that does not answer costs no cycle anything."""

import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crmsync.daemon.alerts import plan
from crmsync.daemon.alerts.bells import Bells
from crmsync.daemon.alerts.letters import Unsent
from crmsync.daemon.alerts.plan import Memory
from crmsync.daemon.turns import Turns
from crmsync.state.errors import StateError

log = logging.getLogger(__name__)

EVERY = 30.0  # seconds
LONGEST = timedelta(minutes=15)  # between two attempts with a way that fails
KEY = "alerts"  # in the state


@dataclass(slots=True)
class Watch:
    turns: Turns
    bells: Callable[[], Bells]
    now: Callable[[], datetime]
    every: float = EVERY
    _since: datetime = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _sending: dict[str, threading.Thread] = field(default_factory=dict)  # by way
    # what is kept is read, and then written
    _remembering: threading.Lock = field(default_factory=threading.Lock)
    _failing: dict[str, tuple[int, datetime]] = field(default_factory=dict)  # way -> how often, next attempt

    def __post_init__(self) -> None:
        self._since = self.now()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 0.5) -> None:
        """A mail that is on its way may be cut off; it is sent again after the next start."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            try:
                bells = self.bells()
                letters = self._judged(bells)
                for way in bells.ways:
                    self._set_off(bells, way, letters)
            except StateError as error:
                log.error("alerts cannot be judged: %s", error, extra={"action": "alert.blind"})
            except Exception:
                log.exception("alerts failed", extra={"action": "alert.defect"})

    def look(self) -> None:
        """Once, and all in this thread. Raises StateError."""
        bells = self.bells()
        letters = self._judged(bells)
        for way in bells.ways:
            self._deliver(bells, way, letters)

    def _judged(self, bells: Bells) -> Sequence[plan.Letter]:
        """What is to be sent, now that it is known how everything stands."""
        if not bells.ways:
            return ()
        with self.turns.looking() as engine, self._remembering:
            standing = engine.status()
            before = self._memory(engine)
            after = plan.look(
                before,
                standing["accounts"],
                bells.limits,
                self.now(),
                since=self._since,
                ways=tuple(bells.ways),
                id=secrets.token_hex(12),
                exchanges=engine.failing_exchanges(),
                replicas=standing.get("replicas", ()),
            )
            if after != before:
                self._keep(engine, after)
        _say(before, after)
        return after.letters

    def _set_off(self, bells: Bells, way: str, letters: Sequence[plan.Letter]) -> None:
        """Each way has a thread of its own: one whose server never comes to an end holds up no other."""
        sending = self._sending.get(way)
        if sending is not None and sending.is_alive():
            return
        if any(way in letter.to for letter in letters):
            made = threading.Thread(
                target=self._delivered, args=(bells, way, letters), name=f"alerts-{way}", daemon=True
            )
            self._sending[way] = made
            made.start()

    def _delivered(self, bells: Bells, way: str, letters: Sequence[plan.Letter]) -> None:
        try:
            self._deliver(bells, way, letters)
        except StateError as error:
            log.error(
                "it could not be noted that an alert was sent: %s", error, extra={"action": "alert.blind"}
            )
        except Exception:
            log.exception("alerts failed", extra={"action": "alert.defect"})

    def _deliver(self, bells: Bells, way: str, letters: Sequence[plan.Letter]) -> None:
        for letter in letters:
            if way in letter.to and self._send(bells, way, letter):
                with self.turns.looking() as engine, self._remembering:
                    self._keep(engine, plan.sent(self._memory(engine), letter.id, way))

    def _send(self, bells: Bells, way: str, letter: plan.Letter) -> bool:
        count, due = self._failing.get(way, (0, self.now()))
        if self.now() < due or self._stopped.is_set():
            return False
        try:
            bells.ways[way].send(letter)
        except Unsent as error:
            if not count:
                log.error(
                    "an alert could not be sent by %s: %s", way, error, extra={"action": "alert.unsent"}
                )
            pause = min(timedelta(seconds=self.every) * 2 ** min(count, 10), LONGEST)
            self._failing[way] = count + 1, self.now() + pause
            return False
        if self._failing.pop(way, None) is not None:
            log.info("alerts can be sent by %s again", way, extra={"action": "alert.recovered"})
        return True

    def _memory(self, engine: Any) -> Memory:
        with engine.state.reading() as tx:
            kept = tx.meta.get(KEY)
        return Memory.of(json.loads(kept)) if kept else Memory()

    def _keep(self, engine: Any, memory: Memory) -> None:
        with engine.state.transaction() as tx:
            tx.meta.put(KEY, json.dumps(memory.document()))


def _say(before: Memory, after: Memory) -> None:
    for what in after.open.keys() - before.open.keys():
        log.warning("%s", after.open[what], extra={"action": f"alert.began.{what.partition('/')[0]}"})
    for what in before.open.keys() - after.open.keys():
        log.info("over: %s", before.open[what], extra={"action": f"alert.ended.{what.partition('/')[0]}"})
