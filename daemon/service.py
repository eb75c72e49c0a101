"""``crmsync run``: the engine with a clock, a control socket, the status page and systemd around it."""

import logging
import os
import queue
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

from crmsync.config.model import Config
from crmsync.config.problems import ConfigError
from crmsync.daemon import logs
from crmsync.daemon.adaptor.adaptor import Adaptor
from crmsync.daemon.alerts.bells import Bells
from crmsync.daemon.alerts.watch import Watch
from crmsync.daemon.answers import Answers
from crmsync.daemon.calls import Failure, Progress
from crmsync.daemon.control import fingerprint
from crmsync.daemon.control_server import ControlServer, listen
from crmsync.daemon.engine import Engine
from crmsync.daemon.notify import Notifier
from crmsync.daemon.nudges import Nudges
from crmsync.daemon.reception import Reception
from crmsync.daemon.replica.doors import Doors
from crmsync.daemon.replica.rounds import ReplicaRounds
from crmsync.daemon.rounds import Pace, Rounds
from crmsync.daemon.scheduler import Schedule
from crmsync.daemon.telephony.phones import Phones
from crmsync.daemon.turns import Turns
from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from crmsync.state.locks import Claim

log = logging.getLogger(__name__)

GRACE = 4.0  # seconds that running cycles have to end when the service stops
LET_FINISH = 10.0  # seconds that running cycles have to finish before a reload interrupts them
CLAIMING = timedelta(seconds=30)  # how often it is seen to that this service is still the state's only one
NOTE_SUCCESS = timedelta(minutes=5)  # how often the last success is written down where nothing happens
TURN = 1.0  # seconds for which a signal may go unnoticed
SETTLING = 2.0  # seconds: a one-shot command looks for a service by holding the service's lock for a moment


def run(
    load: Callable[[], Config],
    build: Callable[[Config], Engine],
    environ: Mapping[str, str],
    *,
    debug: bool = False,
) -> int:
    """Runs until SIGTERM or SIGINT. Raises ConfigError, Failure, StateError when it cannot start."""
    config = load()
    logs.setup("debug" if debug else config.service.log_level, environ)
    for warning in config.warnings():
        log.warning("%s", warning, extra={"action": "config.unwise"})
    engine = _opened(config, build)
    service: Service | None = None
    try:
        with alone(engine.state) as claim:
            path = config.service.socket
            notify = Notifier.of(environ)
            service = Service(config, engine, load, build, notify, environ, debug=debug, claim=claim)
            service.phones.claim()
            return service.run(ControlServer(listen(path), path, service.handle, service.about))
    finally:
        (service.engine if service else engine).close()


def _opened(config: Config, build: Callable[[Config], Engine]) -> Engine:
    try:
        return build(config)
    except Failure as error:
        if error.code == "state" and config.state.file is None:
            # A database server that does not answer yet will; systemd does not start us again after exit code 2.
            raise Failure("state_failed", error.message) from error
        raise


@contextmanager
def alone(state: State) -> Iterator[Claim]:
    """We are the service of this state. Raises Failure where there is one."""
    deadline = time.monotonic() + SETTLING
    while True:
        lock: AbstractContextManager[Claim] = state.exclusive()
        try:
            claim = lock.__enter__()
            break
        except Locked as error:
            if time.monotonic() > deadline:
                raise Failure(
                    "busy", f"another service runs on this state, so this one does not start: {error.message}"
                ) from None
        time.sleep(0.1)
    try:
        yield claim
    finally:
        lock.__exit__(None, None, None)


@dataclass(slots=True)
class Service:
    config: Config
    engine: Engine
    load: Callable[[], Config]
    build: Callable[[Config], Engine]
    notify: Notifier
    environ: Mapping[str, str]
    debug: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random
    claim: Claim | None = None  # to be the state's only service
    turns: Turns = field(init=False)
    rounds: Rounds = field(init=False)
    schedule: Schedule = field(init=False)
    replicas: ReplicaRounds = field(init=False)
    doors: Doors = field(default_factory=Doors)
    nudges: Nudges = field(init=False)
    phones: Phones = field(init=False)
    reception: Reception = field(init=False)
    answers: Answers = field(init=False)
    adaptor: Adaptor = field(init=False)
    watch: Watch = field(init=False)
    # its put may be used in handlers
    _signals: "queue.SimpleQueue[int]" = field(default_factory=queue.SimpleQueue)
    _since: datetime = field(init=False)
    _said: str = ""
    _ousted: bool = False

    def __post_init__(self) -> None:
        self._since = self.now()
        self.turns = Turns(self.engine)
        self.rounds = Rounds(self.turns, pace_of(self.config), self.now, self.jitter, self._tell_status)
        self.schedule = Schedule(self.rounds, now=self.now, jitter=self.jitter)
        self.replicas = ReplicaRounds(self.turns, self.jitter)
        self.nudges = Nudges(self.schedule.soon)
        self.phones = Phones(self.config, self.turns, self.now, self.schedule.soon)
        self.reception = Reception(
            self.config, self.turns, self.schedule.due, self.handle, self.now, self.phones
        )
        self.answers = Answers(self.turns, self.schedule, self.replicas, self.phones, self.reception)
        self.rounds.observed = self._observed
        self.adaptor = Adaptor(self.config.exchange, self.turns, self.schedule.soon, self._observed, self.now)
        self.watch = Watch(self.turns, lambda: Bells.of(self.config.alerts, self.now), self.now)

    def _observed(self, account: str, answer: Mapping[str, Any], seconds: float) -> None:
        self.reception.tally.note(account, answer, seconds)
        if answer["writes"]:
            self.phones.synced(account)

    # ── From start to end ────────────────────────────────────────────────────────────────────────────────────

    def run(self, server: ControlServer) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        self.phones.open()
        self.reception.open()
        self.adaptor.open()
        server.start()  # last: whoever has a command before all is open waits at the socket
        self.watch.start()
        self.schedule.start(self.engine.accounts, self.rounds.pace)
        self.replicas.follow(self.engine.replicas, self.schedule)
        self.doors.follow(self.engine.replicas)
        self.nudges.follow(self.engine.accounts.values())
        if self.notify.watchdog is not None:
            self.schedule.beat(self.notify.watchdog / 2, self.notify.alive)
        self.schedule.watch(min(CLAIMING, self.rounds.pace.interval), self._keep_claim)
        self.schedule.watch(NOTE_SUCCESS, self._note_successes)
        self.schedule.watch(CLAIMING, self.doors.again)
        self.notify.ready(self._status())
        log.info("the service runs: %s", self._status(), extra={"action": "service.ready"})
        while self._next_signal() == signal.SIGHUP:
            self.reload()
        return self._stop(server)

    def _next_signal(self) -> int:
        """Waits in short turns: a signal that comes on the way into a wait does not end it (its handler is Python's,
        and this thread has to run it). A reload right after another one, or a stop, would never begin."""
        while True:
            with suppress(queue.Empty):
                return self._signals.get(timeout=TURN)

    def _keep_claim(self) -> None:
        """A database server that was restarted has forgotten that this is the only service of its state, and files may
        be taken away."""
        try:
            if self.claim is not None:
                self.claim.renew()
        except Locked as error:
            log.error(
                "this state is not this service's any more, so it stops: %s",
                error.message,
                extra={"action": "service.ousted"},
            )
            self._ousted = True
            self._signals.put(signal.SIGTERM)
        except StateError as error:
            log.debug("%s", error, extra={"action": "claim.unknown"})  # each cycle says so, too

    def _note_successes(self) -> None:
        try:
            with self.turns.looking() as engine:
                engine.note_successes()
        except StateError as error:
            log.debug("%s", error, extra={"action": "success.unknown"})  # each cycle says so, too

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _stop(self, server: ControlServer) -> int:
        self.notify.stopping()
        self.adaptor.close()
        log.info("stopping", extra={"action": "service.stopping"})
        self.turns.close()
        self.turns.interrupt()
        self.nudges.stop()
        self.schedule.stop()
        self.doors.close()
        self.watch.stop()
        self.phones.close()
        self.reception.close()
        clean = self._wait_idle(GRACE)
        server.stop(1.0)
        if not clean:
            log.warning(
                "a server kept us waiting; what is not confirmed yet is found again at the next start",
                extra={"action": "service.stopped_hard"},
            )
            logging.shutdown()
            # Threads that hang in a request cannot be ended otherwise, and Python would wait for them. Nothing is
            # lost: every write has its intent in the state, and every state change its transaction.
            os._exit(int(self._ousted))
        self._note_successes()
        log.info("stopped", extra={"action": "service.stopped"})
        return int(self._ousted)

    def _wait_idle(self, seconds: float) -> bool:
        """Whether all cycles ended in time; a second signal cuts the waiting short."""
        deadline = time.monotonic() + seconds
        while not self.turns.idle(0.2):
            if time.monotonic() > deadline or not self._signals.empty():
                return False
        return True

    # ── Reload ───────────────────────────────────────────────────────────────────────────────────────────────

    def reload(self) -> None:
        """Another configuration from now on, if it is a good one; else the old one stays in force."""
        self.notify.reloading()
        try:
            config = self.load()
            _same_place(self.config, config)
            engine = self.build(config)
        except (ConfigError, StateError, Failure) as error:
            log.error(
                "the configuration was not changed, the old one stays in force: %s",
                error,
                extra={"action": "reload.refused"},
            )
        else:
            self._change(config, engine)
        self.notify.ready(self._status())

    def _change(self, config: Config, engine: Engine) -> None:
        self.turns.close()
        try:
            self._drain()
            self.doors.close()
            if not self._signals.empty():  # we are to stop: not worth a new engine any more
                engine.close()
                return
            self._note_successes()
            self.turns.swap(engine)
        finally:
            self.turns.reopen()
        self.config, self.engine, self.rounds.pace = config, engine, pace_of(config)
        self.reception.config = config
        self.adaptor.follow(config.exchange)
        self.phones.reopen(config)
        logs.setup("debug" if self.debug else config.service.log_level, self.environ)
        for warning in config.warnings():
            log.warning("%s", warning, extra={"action": "config.unwise"})
        self.schedule.replace(engine.accounts, self.rounds.pace)
        self.replicas.follow(engine.replicas, self.schedule)
        self.doors.follow(engine.replicas)
        self.nudges.follow(engine.accounts.values())
        log.info("the configuration was read again", extra={"action": "reload.done"})

    def _drain(self) -> None:
        if not self._wait_idle(LET_FINISH):
            self.turns.interrupt()
        while not self.turns.idle(0.2) and self._signals.empty():
            pass

    # ── What commands ask ────────────────────────────────────────────────────────────────────────────────────

    def about(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "config": fingerprint(self.config), "since": self._since.isoformat()}

    def handle(self, name: str, arguments: object, progress: Progress) -> Any:
        """A command over the control socket, or of a page. Raises what ``calls.explained`` explains, and Stopping."""
        return self.answers.handle(name, arguments, progress)

    # ── How it is ────────────────────────────────────────────────────────────────────────────────────────────

    def _status(self) -> str:
        with self.turns.looking() as engine:
            names = list(engine.accounts)
        broken = self.rounds.outages.broken(names)
        accounts = "1 account" if len(names) == 1 else f"{len(names)} accounts"
        return f"{accounts}, {f'{len(broken)} failing' if broken else 'all well'}"

    def _tell_status(self) -> None:
        status = self._status()
        if status != self._said:
            self._said = status
            self.notify.status(status)


def pace_of(config: Config) -> Pace:
    return Pace(config.schedule.interval, config.schedule.settle, config.schedule.reconcile)


def _same_place(old: Config, new: Config) -> None:
    """What a reload cannot change. Raises Failure."""
    for key, before, after in (
        ("[state] url", old.state.url, new.state.url),
        ("[state] key_file", old.state.key_path, new.state.key_path),
        ("[service] socket", old.service.socket, new.service.socket),
        ("[service] listen", old.service.listen, new.service.listen),
        ("[service] url", old.service.url, new.service.url),
        ("[softphone] log", old.call_log, new.call_log),
        ("[login.proxy]", old.login.proxy, new.login.proxy),
        ("[login.oidc]", old.login.oidc, new.login.oidc),
        ("[exchange] listen", old.exchange.listen, new.exchange.listen),
        ("[exchange] url", old.exchange.url, new.exchange.url),
        ("[exchange] certificate", bool(old.exchange.certificate), bool(new.exchange.certificate)),
    ):
        if before != after:
            raise Failure("config", f"{key} is another one, which needs a restart of the service")
