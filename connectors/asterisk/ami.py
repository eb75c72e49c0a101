"""Asterisk over its Manager Interface, as a switch."""

import queue
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count

from crmsync.connectors.asterisk import ami_events
from crmsync.connectors.asterisk.ami_wire import Blocks, block
from crmsync.connectors.asterisk.legs import Channel, Leg, Legs
from crmsync.connectors.errors import AuthExpired, ConnectorError, Unreachable
from crmsync.connectors.telephony.contract import Action, Cause, Dial, Ended, Event, HangUp, Transfer
from crmsync.connectors.telephony.line import Line

PATIENCE = 10.0  # seconds for an answer, and until it is fully booted
SILENCE = 20.0  # after which it is asked for a sign of life
LOOK = 0.5


class Ami:
    """``extensions``: whose calls are told of. Answering is the telephone's own: an exchange cannot pick up for it."""

    actions = frozenset({Dial, HangUp, Transfer})

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        extensions: Collection[str],
        context: str,
        technology: str = "PJSIP",
        now: Callable[[], datetime],
        silence: float = SILENCE,
        patience: float = PATIENCE,
    ) -> None:
        self._address, self._login = (host, port), (username, password)
        self._extensions = frozenset(extensions)
        self._context, self._technology, self._now = context, technology, now
        self._silence, self._patience = silence, patience
        self._connection: _Connection | None = None
        self._legs = Legs(self._extensions)

    def events(self, going: Sequence[str], stopped: Callable[[], bool]) -> Iterator[Event | None]:
        connection = _Connection(self._address, self._patience)
        try:
            self._log_in(connection)
            early, there = self._standing(connection)
            for id in going:
                if not self._legs.take_up(id, there.get(id.rpartition("/")[0], ())):
                    yield Ended(id, Cause.LOST, self._now())
            self._connection = connection
            yield None
            for told in early:
                yield from ami_events.events(self._legs, told, self._now())
            yield from self._heard(connection, stopped)
        finally:
            self._connection = None
            connection.close()

    def _log_in(self, connection: "_Connection") -> None:
        username, secret = self._login
        sent = connection.send({"Action": "Login", "Username": username, "Secret": secret, "Events": "on"})
        deadline, accepted = time.monotonic() + self._patience, False
        while time.monotonic() < deadline:
            for told in connection.read(LOOK):
                if told.get("Event") == "FullyBooted" and accepted:
                    return  # until then it knows of nothing
                if told.get("ActionID") == sent:
                    if told.get("Response") != "Success":
                        raise AuthExpired(
                            f"Asterisk refuses the login {username!r}",
                            hint="look at manager.conf: user, secret, permit, read = call, write = call,originate",
                        )
                    accepted = True
        raise Unreachable(f"{connection.place} did not become ready")

    def _standing(
        self, connection: "_Connection"
    ) -> tuple[list[Mapping[str, str]], Mapping[str, Sequence[Channel]]]:
        """What is told meanwhile, and the calls that there are, each with its channels."""
        sent = connection.send({"Action": "CoreShowChannels"})
        early: list[Mapping[str, str]] = []
        there: dict[str, list[Channel]] = {}
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            for told in connection.read(LOOK):
                if told.get("ActionID") != sent:
                    early.append(told)
                elif told.get("Event") == "CoreShowChannel":
                    linked, id = told.get("Linkedid", ""), told.get("Uniqueid", "")
                    there.setdefault(linked, []).append(Channel(id, told.get("Channel", "")))
                    self._legs.there(linked, id)
                elif told.get("Event") == "CoreShowChannelsComplete" or told.get("Response") == "Error":
                    return early, there
        raise Unreachable(f"{connection.place} does not say which calls there are")

    def _heard(self, connection: "_Connection", stopped: Callable[[], bool]) -> Iterator[Event | None]:
        heard = asked = time.monotonic()
        waiting = False
        while not stopped():
            for told in connection.read(min(LOOK, self._silence)):
                heard, waiting = time.monotonic(), False
                yield from ami_events.events(self._legs, told, self._now())
                if told.get("Response"):
                    connection.answered(told)
                    yield None
            if waiting and time.monotonic() - asked > self._patience:
                raise Unreachable(f"{connection.place} does not answer")
            if not waiting and time.monotonic() - heard > self._silence:
                connection.send({"Action": "Ping"})
                asked, waiting = time.monotonic(), True

    def act(self, action: Action) -> None:
        connection = self._connection
        if connection is None:
            raise Unreachable("Asterisk is not connected")
        match action:
            case Dial(number, extension):
                connection.ask({
                    "Action": "Originate", "Channel": f"{self._technology}/{extension}", "Context": self._context,
                    "Exten": number, "Priority": "1", "CallerID": number, "Async": "true",
                })  # fmt: skip
            case HangUp(call):
                connection.ask({"Action": "Hangup", "Channel": self._leg(call).ours.name, "Cause": "16"})
            case Transfer(call, to):
                other = self._leg(call).other
                connection.ask({
                    "Action": "Redirect", "Channel": other.name if other else "", "Context": self._context,
                    "Exten": to, "Priority": "1",
                })  # fmt: skip
            case _:
                raise Refusal("an exchange cannot do that for a telephone")

    def _leg(self, call: str) -> Leg:
        leg = self._legs.get(call)
        if leg is None:
            raise Refusal("the call is over")
        return leg

    def close(self) -> None:
        if (connection := self._connection) is not None:
            connection.stop()


class Refusal(ConnectorError):
    """It was understood, and cannot be done."""

    code = "refused"
    retry = False


class _Connection:
    """Read in one thread, asked from any."""

    def __init__(self, address: tuple[str, int], patience: float) -> None:
        self.place = f"Asterisk on {address[0]}:{address[1]}"
        self._line = Line(address, patience, self.place)
        self.close, self.stop = self._line.close, self._line.stop
        self._patience = patience
        self._blocks = Blocks()
        self._numbers = count(1)
        self._answers: dict[str, queue.SimpleQueue[Mapping[str, str]]] = {}

    def read(self, seconds: float) -> Iterator[Mapping[str, str]]:
        if data := self._line.read(seconds):
            yield from self._blocks.feed(data)

    def send(self, fields: Mapping[str, str]) -> str:
        """The ActionID of the answer."""
        id = f"crmsync-{next(self._numbers)}"
        self._line.send(block({**fields, "ActionID": id}))
        return id

    def answered(self, told: Mapping[str, str]) -> None:
        waiting = self._answers.get(told.get("ActionID", ""))
        if waiting is not None:
            waiting.put(told)

    def ask(self, fields: Mapping[str, str]) -> None:
        id = f"crmsync-{next(self._numbers)}"
        waiting = self._answers[id] = queue.SimpleQueue()
        try:
            self._line.send(block({**fields, "ActionID": id}))
            answer = waiting.get(timeout=self._patience)
        except queue.Empty:
            raise Unreachable(f"{self.place} does not answer") from None
        finally:
            del self._answers[id]
        if answer.get("Response") != "Success":
            raise Refusal(f"Asterisk does not do that ({answer.get('Message', '')[:100]})")
