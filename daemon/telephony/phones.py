"""The telephone as the service has it: opened, closed, configured anew, and asked by the pages."""

import logging
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crmsync.config.model import Config
from crmsync.config.secret import SecretError
from crmsync.config.telephony import Telephony
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.telephony import contract
from crmsync.connectors.telephony.contract import Switch
from crmsync.connectors.telephony.numbers import dialled
from crmsync.daemon.calls import Failure
from crmsync.daemon.telephony import pop
from crmsync.daemon.telephony.board import Board, Line
from crmsync.daemon.telephony.logs import LOG_ACCOUNT
from crmsync.daemon.telephony.pairing import Pairing
from crmsync.daemon.telephony.watch import Watch
from crmsync.daemon.turns import Turns
from crmsync.state.errors import StateError
from crmsync.state.locks import FileLocks

log = logging.getLogger(__name__)

SEEKERS = 2  # threads that look who is calling

_OF_CALLS: Mapping[str, type[contract.Answer | contract.HangUp | contract.Hold | contract.Resume]] = {
    "answer": contract.Answer,
    "hang_up": contract.HangUp,
    "hold": contract.Hold,
    "resume": contract.Resume,
}
_KINDS: Mapping[str, type] = {**_OF_CALLS, "dial": contract.Dial, "transfer": contract.Transfer}


@dataclass(slots=True)
class Phones:
    """Safe to use from several threads."""

    config: Config
    turns: Turns
    now: Callable[[], datetime]
    wake: Callable[[str], None]  # an account has something to sync
    board: Board | None = None
    pairing: Pairing | None = None
    _store: CallStore | None = None
    _claim: AbstractContextManager[None] | None = None
    _watches: dict[str, Watch] = field(default_factory=dict)
    _sought: "queue.SimpleQueue[tuple[str, str, str] | None]" = field(default_factory=queue.SimpleQueue)

    # ── From start to end ────────────────────────────────────────────────────────────────────────────────────

    def claim(self) -> None:
        """Calls that go on are one service's alone. Raises Failure where another one has the call log."""
        if self._claim is not None or not lines_of(self.config):
            return
        claim = FileLocks(self.config.call_log, self.now).call_log()
        try:
            claim.__enter__()
        except StateError as error:  # Locked among them
            raise Failure(
                "busy",
                f"the calls of this configuration cannot be kept in {self.config.call_log}: {error.message}; two "
                "services on one call log would each take the other's calls for their own: give this one another "
                "file ([softphone] log), or stop the other one",
            ) from error
        self._claim = claim

    def open(self) -> None:
        """Nothing where no telephone is configured. What is wrong with a telephone is said in the log, and no reason
        not to sync. Raises Failure where another service has the call log."""
        lines = lines_of(self.config)
        if not lines:
            return
        self.claim()
        self._store = CallStore(self.config.call_log)
        self.pairing = Pairing(self._store, self.now)
        self.board = Board(self._store, self.now, self._seek, self._finished, lines)
        for number in range(SEEKERS):
            threading.Thread(target=self._look, name=f"caller-{number}", daemon=True).start()
        for name in dict.fromkeys(line.switch for line in lines):
            try:
                extensions = {line.extension for line in lines if line.switch == name} - {""}
                switch = switch_of(self.config.telephony[name], extensions, self.now)
            except SecretError as error:
                log.error(
                    "the telephone %s is not used: %s", name, error, extra={"action": "telephone.failed"}
                )
                continue
            self._watches[name] = Watch(name, switch, self.board, self.board.tell_all)
            self._watches[name].start()

    def close(self) -> None:
        self._close()
        if self._claim is not None:
            self._claim.__exit__(None, None, None)
            self._claim = None

    def _close(self) -> None:
        for watch in self._watches.values():
            watch.stop()
        self._watches = {}
        if self.board is not None:
            for _ in range(SEEKERS):
                self._sought.put(None)
        if self._store is not None:
            self._store.close()

    def reopen(self, config: Config) -> None:
        """With another configuration. Calls that go on are found again, pages look again."""
        before = self.board
        self._close()
        self.config, self.board, self.pairing, self._store = config, None, None, None
        self._sought = queue.SimpleQueue()
        try:
            self.open()
        except Failure as error:
            log.error("no telephone is used: %s", error.message, extra={"action": "telephone.failed"})
        if before is not None:
            before.hand_over(self.board)

    def _finished(self, account: str) -> None:
        self.wake(LOG_ACCOUNT.format(account))

    def synced(self, name: str) -> None:
        """A call that has just come into the CRM comes to its person's task list from there."""
        for line in lines_of(self.config):
            if name == LOG_ACCOUNT.format(line.account):
                self.wake(line.account)

    # ── Who is calling ───────────────────────────────────────────────────────────────────────────────────────

    def _seek(self, account: str, key: str, number: str) -> None:
        self._sought.put((account, key, number))

    def _look(self) -> None:
        sought = self._sought
        while (wanted := sought.get()) is not None:
            try:
                self._looked(*wanted)
            except Exception:
                log.exception("nobody could look who is calling", extra={"action": "telephone.defect"})

    def _looked(self, name: str, key: str, number: str) -> None:
        board = self.board
        if board is None:
            return
        with self.turns.looking() as engine:
            account = engine.accounts.get(name)
            if account is None:
                return
            local = pop.here(engine, account, number)
            board.found(name, key, local, all=False)
            told = pop.in_the_crm(account, number, self.now())
        board.found(name, key, local if told is None else told, all=True)

    # ── What the pages ask ───────────────────────────────────────────────────────────────────────────────────

    @property
    def origins(self) -> Sequence[str]:
        return self.config.softphone.origins

    def account(self, token: str) -> str | None:
        if self.pairing is None or self.board is None:
            return None
        with _stored():
            return self.pairing.account(token, {line.account for line in self.board.lines})

    def pair(self, code: str) -> tuple[str, str] | None:
        with _stored():
            return self.pairing.pair(code) if self.pairing is not None else None

    def forget(self, token: str) -> None:
        if self.pairing is not None:
            with _stored():
                self.pairing.forget(token)

    def look_again(self) -> None:
        """Calls may have been erased."""
        if self.board is not None:
            self.board.look_again()

    def listen(self, account: str, told: Callable[[], None]) -> Callable[[], None]:
        return self._board().listen(account, told)

    def standing(self, account: str) -> dict[str, Any]:
        """``{"line": {"trouble", "can"}, "calls": [...]}``, oldest first. ``can``: what the telephone can be told to do
        from here."""
        board = self._board()
        watch = self._watches.get(self._line(account).switch)
        trouble = (
            watch.trouble if watch is not None else "The telephone is not used; the service's log says why."
        )
        trouble = trouble or board.trouble
        can = [] if watch is None else [n for n, kind in _KINDS.items() if kind in watch.switch.actions]
        return {
            "line": {"trouble": trouble, "can": can},
            "calls": [live.document() for live in board.calls(account)],
        }

    def act(self, account: str, what: str, key: str, number: str) -> None:
        """Raises Failure."""
        line = self._line(account)
        watch = self._watches.get(line.switch)
        if watch is None:
            raise Failure("usage", "The telephone is not connected.")
        action = self._action(line, account, what, key, number)
        if type(action) not in watch.switch.actions:
            raise Failure("choice", "This telephone cannot do that from here.")
        try:
            watch.switch.act(action)
        except ConnectorError as error:
            raise Failure("busy", f"The telephone does not do that: {error.message}.") from error
        log.info("%s: %s", account, what, extra={"action": "telephone.act"})

    def _action(self, line: Line, account: str, what: str, key: str, number: str) -> contract.Action:
        to = dialled(number, line.region)
        if what in ("dial", "transfer") and not to:
            raise Failure("choice", "This is no number.")
        if what == "dial":
            return contract.Dial(to, line.extension)
        live = self._board().get(account, key)
        if live is None or live.call.over:
            raise Failure("choice", "This call is over.")
        if what == "answer" and live.call.answered is not None:
            raise Failure("choice", "This call has been answered already.")
        if what == "transfer":
            return contract.Transfer(live.call.id, to)
        if what not in _OF_CALLS:
            raise Failure("choice", "There is no such action.")
        return _OF_CALLS[what](live.call.id)

    def note(self, account: str, key: str, notes: str) -> None:
        with _stored():
            there = self._board().note(account, key, notes)
        if not there:
            raise Failure("choice", "This call is not there any more.")

    def choose(self, account: str, key: str, person: str) -> None:
        live = self._board().get(account, key)
        if live is None or all(p.id != person for p in live.people):
            raise Failure("choice", "This person is not one of those who have the number.")
        with _stored():
            self._board().choose(account, key, person)

    def _board(self) -> Board:
        if self.board is None:
            raise Failure("usage", "No telephone is configured.")
        return self.board

    def _line(self, account: str) -> Line:
        found = next((line for line in self._board().lines if line.account == account), None)
        if found is None:
            raise Failure("usage", f"No telephone is configured for {account}.")
        return found

    def troubles(self) -> dict[str, str | None]:
        """By system; those that nobody has are not listened to."""
        return {name: watch.trouble for name, watch in self._watches.items()}

    # ── What commands ask ────────────────────────────────────────────────────────────────────────────────────

    def make_code(self, account: str) -> dict[str, Any]:
        self._line(account)
        assert self.pairing is not None
        code, until = self.pairing.code(account)
        log.info(
            "a code that pairs a softphone with %s was made", account, extra={"action": "telephone.code"}
        )
        return {"account": account, "code": code, "expires": until.isoformat(timespec="seconds")}

    def revoke(self, account: str, id: str = "") -> dict[str, Any]:
        self._line(account)
        assert self.pairing is not None
        count = self.pairing.revoke(account, id or None)
        self._board().tell_all()
        log.info(
            "%s: %d softphones are not paired any more", account, count, extra={"action": "telephone.revoked"}
        )
        return {"account": account, "revoked": count}

    def paired(self, account: str) -> dict[str, Any]:
        self._line(account)
        assert self.pairing is not None
        return {"account": account, "paired": self.pairing.paired(account)}


@contextmanager
def _stored() -> Iterator[None]:
    """Raises Failure where the call log cannot be used."""
    try:
        yield
    except ConnectorError as error:
        log.error("%s", error, extra={"action": "telephone.store"})
        raise Failure(
            "busy", "The call log cannot be used just now; the log of the service says why."
        ) from error


def lines_of(config: Config) -> list[Line]:
    return [
        Line(
            name,
            account.telephone,
            account.extension or "",
            config.telephony[account.telephone].region,
            account.tag,
            config.softphone.internal,
        )
        for name, account in config.account.items()
        if account.telephone is not None
    ]


def switch_of(config: Telephony, extensions: Collection[str], now: Callable[[], datetime]) -> Switch:
    """Raises SecretError. A system's package is imported when it is used."""
    host, port = config.address
    if config.type == "baresip":
        from crmsync.connectors.baresip.connector import Baresip

        return Baresip(host, port, domain=config.domain or "", now=now)
    from crmsync.connectors.asterisk.ami import Ami
    from crmsync.connectors.asterisk.ari import Ari

    make = Ami if config.type == "asterisk_ami" else Ari
    return make(
        host,
        port,
        config.username or "",
        config.password.reveal() if config.password else "",
        extensions=extensions,
        context=config.context,
        technology=config.technology,
        now=now,
    )
