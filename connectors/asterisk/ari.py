"""Asterisk over its REST interface, as a switch. The login stays here: a browser never gets to see it."""

import base64
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from crmsync.connectors.asterisk import ari_events
from crmsync.connectors.asterisk.ari_events import OURS
from crmsync.connectors.asterisk.legs import Legs
from crmsync.connectors.asterisk.websocket import (
    CLOSE,
    LARGEST,
    LARGEST_HEAD,
    PING,
    PONG,
    TEXT,
    Frame,
    Frames,
    frame,
    handshake,
    opened,
)
from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Unreachable
from crmsync.connectors.telephony.contract import Action, Cause, Dial, Ended, Event, HangUp

APP = "crmsync"  # the Stasis application under which we hear; nothing is ever put into it
PATIENCE, SILENCE, LOOK = 10.0, 20.0, 0.5


class Ari:
    """``extensions``: whose calls are told of. Calls stay in the dial plan: they are heard, dialled and hung up."""

    actions = frozenset({Dial, HangUp})

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
        self._host, self._port = host, port
        self._authorization = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self._extensions = frozenset(extensions)
        self._context, self._technology, self._now = context, technology, now
        self._silence, self._patience = silence, patience
        self._legs = Legs(self._extensions)
        self._pool = urllib3.HTTPConnectionPool(host, port, timeout=patience, retries=False, maxsize=2)
        self._socket: socket.socket | None = None

    def events(self, going: Sequence[str], stopped: Callable[[], bool]) -> Iterator[Event | None]:
        with self._connected() as door:
            self._socket = door
            try:
                frames, early = self._opened(door)
                yield from self._missed(going)
                yield None
                yield from self._heard(door, frames, early, stopped)
            finally:
                self._socket = None

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self._host, self._port), timeout=self._patience)
        except OSError as error:
            raise self._unreachable(str(error.strerror or error)) from error

    def _opened(self, door: socket.socket) -> tuple[Frames, list[Frame]]:
        path = "/ari/events?" + urlencode({"app": APP, "subscribeAll": "true"})
        request, key = handshake(f"{self._host}:{self._port}", path, self._authorization)
        held = b""
        try:
            door.sendall(request)
            while b"\r\n\r\n" not in held:
                data = door.recv(4096)
                held += data
                if not data or len(held) > LARGEST_HEAD:
                    raise ProtocolError("what answers there is no WebSocket")
        except OSError as error:
            raise self._unreachable(str(error.strerror or error)) from error
        head, _, rest = held.partition(b"\r\n\r\n")
        opened(head, key)
        frames = Frames()
        return frames, list(frames.feed(rest))

    def _missed(self, going: Sequence[str]) -> Iterator[Event]:
        """Calls whose legs we do not know, or whose channel is not there any more, are over."""
        if not going:
            return
        there = {str(c.get("id", "")) for c in self._request("GET", "/channels") if isinstance(c, dict)}
        for id in going:
            leg = self._legs.get(id)
            if leg is None or leg.ours.id not in there:
                yield Ended(id, Cause.LOST, self._now())

    def _heard(
        self, door: socket.socket, frames: Frames, early: Sequence[Frame], stopped: Callable[[], bool]
    ) -> Iterator[Event | None]:
        yield from self._said(door, early)
        heard = asked = time.monotonic()
        waiting = False
        door.settimeout(min(LOOK, self._silence))
        while not stopped():
            if data := self._received(door):
                heard, waiting = time.monotonic(), False
                yield from self._said(door, frames.feed(data))
                yield None
            if waiting and time.monotonic() - asked > self._patience:
                raise self._unreachable("it does not answer")
            if not waiting and time.monotonic() - heard > self._silence:
                self._send(door, PING, b"")
                asked, waiting = time.monotonic(), True

    def _received(self, door: socket.socket) -> bytes:
        try:
            data = door.recv(65536)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._unreachable(str(error.strerror or error)) from error
        if not data:
            raise self._unreachable("it has closed the connection")
        return data

    def _said(self, door: socket.socket, frames: "Sequence[Frame] | Iterator[Frame]") -> Iterator[Event]:
        for each in frames:
            match each.opcode:
                case opcode if opcode == TEXT:
                    yield from ari_events.events(self._legs, _json(each.payload), self._now())
                case opcode if opcode == PING:
                    self._send(door, PONG, each.payload)
                case opcode if opcode == CLOSE:
                    raise self._unreachable("another programme hears under our name, or it shuts down")

    def _send(self, door: socket.socket, opcode: int, payload: bytes) -> None:
        try:
            door.sendall(frame(opcode, payload))
        except OSError as error:
            raise self._unreachable(str(error.strerror or error)) from error

    def act(self, action: Action) -> None:
        match action:
            case Dial(number, extension):
                fields = {
                    "endpoint": f"{self._technology}/{extension}", "extension": number, "context": self._context,
                    "priority": "1", "callerId": number, "channelId": OURS + secrets.token_hex(8),
                }  # fmt: skip
                self._request("POST", "/channels?" + urlencode(fields))
            case HangUp(call):
                leg = self._legs.get(call)
                if leg is None:
                    raise Refusal("the call is over")
                self._request("DELETE", f"/channels/{quote(leg.ours.id, safe='')}?reason=normal")
            case _:
                raise Refusal("an exchange cannot do that for a telephone")

    def _request(self, method: str, path: str) -> Any:
        headers = {"Authorization": self._authorization, "Content-Length": "0"}
        try:
            answer = self._pool.request(method, f"/ari{path}", headers=headers, preload_content=False)
            try:
                body = answer.read(LARGEST + 1)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(type(error).__name__) from error
        if answer.status in (401, 403):
            raise AuthExpired(
                "Asterisk refuses the login", hint="look at ari.conf: user, password, read_only = no"
            )
        if not 200 <= answer.status < 300 or len(body) > LARGEST:
            raise Refusal(f"Asterisk does not do that ({answer.status})")
        try:
            return json.loads(body) if body else []
        except (ValueError, RecursionError) as error:
            raise ProtocolError("Asterisk sent what is no JSON") from error

    def close(self) -> None:
        if (door := self._socket) is not None:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)  # its reader closes it
        self._pool.close()

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(f"Asterisk on {self._host}:{self._port} is not heard ({why})")


class Refusal(ConnectorError):
    """It was understood, and cannot be done."""

    code = "refused"
    retry = False


def _json(payload: bytes) -> Mapping[str, Any]:
    """One event that cannot be read is no reason to lose the connection."""
    try:
        found = json.loads(payload.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
