"""An Asterisk as far as its two interfaces show it: it says what a test, or a transcript, has it say."""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

USER, SECRET = "crmsync", "s3cret"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Exchange:
    port: int
    door: socket.socket
    asked: list[Any] = field(default_factory=list)  # actions (AMI), or methods and paths (ARI)
    listing: list[Mapping[str, Any]] = field(default_factory=list)  # channels that there are
    silent: bool = False  # it answers nothing any more
    line: socket.socket | None = None
    open: threading.Event = field(default_factory=threading.Event)  # somebody hears

    def raw(self, data: bytes) -> None:
        assert self.line is not None
        self.line.sendall(data)

    def hang(self) -> None:
        """The connection breaks."""
        assert self.line is not None
        self.open.clear()
        self.line.shutdown(socket.SHUT_RDWR)


class Ami(Exchange):
    def say(self, fields: Mapping[str, Any]) -> None:
        lines = (f"{n}: {v}\r\n" for n, v in fields.items() if n != "t")
        self.raw("".join(lines).encode() + b"\r\n")

    def serve(self, line: socket.socket) -> None:
        self.line, held = line, b""
        line.sendall(b"Asterisk Call Manager/5.0.2\r\n")
        while data := line.recv(4096):
            held += data
            while b"\r\n\r\n" in held:
                block, _, held = held.partition(b"\r\n\r\n")
                action = dict(text.split(": ", 1) for text in block.decode().split("\r\n"))
                self.asked.append(action)
                if not self.silent:
                    self.answer(action, action["ActionID"])

    def answer(self, action: dict[str, str], id: str) -> None:
        good = action["Action"] != "Login" or (action["Username"], action["Secret"]) == (USER, SECRET)
        self.say({"Response": "Success" if good else "Error", "ActionID": id, "Message": "told"})
        if action["Action"] == "Login" and good:
            self.say({"Event": "FullyBooted", "Status": "Fully Booted"})
        if action["Action"] == "CoreShowChannels":
            for channel in self.listing:
                self.say({"Event": "CoreShowChannel", "ActionID": id, **channel})
            self.say({"Event": "CoreShowChannelsComplete", "ActionID": id})
            self.open.set()


class Ari(Exchange):
    def say(self, event: Mapping[str, Any]) -> None:
        body = json.dumps(event).encode()
        size = bytes([len(body)]) if len(body) < 126 else b"\x7e" + len(body).to_bytes(2)
        self.raw(b"\x81" + size + body)

    def serve(self, line: socket.socket) -> None:
        held = b""
        while b"\r\n\r\n" not in held:
            held += line.recv(4096)
        head = held.decode("latin-1").split("\r\n")
        headers = dict(text.split(": ", 1) for text in head[1:] if ": " in text)
        login = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        method, path, _ = head[0].split(" ")
        self.asked.append((method, path))
        if headers.get("Authorization") != login:
            line.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        elif "Sec-WebSocket-Key" in headers:
            digest = hashlib.sha1((headers["Sec-WebSocket-Key"] + _GUID).encode()).digest()
            proof = base64.b64encode(digest).decode()
            self.line = line
            line.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {proof}\r\n\r\n".encode()
            )
            self.open.set()
            while line.recv(4096):
                pass
        else:
            body = json.dumps(self.listing).encode()
            line.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )


@contextmanager
def exchange(kind: type[Ami] | type[Ari]) -> Iterator[Any]:
    door = socket.create_server(("127.0.0.1", 0))
    made, lines = kind(door.getsockname()[1], door), []

    def serve(line: socket.socket) -> None:
        try:
            made.serve(line)
        except (OSError, ValueError):  # it goes, or speaks something else
            pass
        finally:
            line.close()

    def accept() -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            lines.append(line)
            threading.Thread(target=serve, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield made
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        for line in lines:
            line.close()
