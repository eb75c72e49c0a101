"""What the service tells systemd: sd_notify(3), without libsystemd."""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends to ``$NOTIFY_SOCKET``; without one it says nothing."""

    address: str = ""
    watchdog: timedelta | None = None  # how long systemd waits for a sign of life
    monotonic: Callable[[], int] = time.monotonic_ns

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Notifier":
        return cls(environ.get("NOTIFY_SOCKET", ""), _watchdog(environ))

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={self.monotonic() // 1000}\nSTATUS=reading the configuration"
        )

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, message: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
                door.settimeout(1.0)  # a full queue of systemd's must not stop us
                door.sendto(message.encode(), address)
        except OSError as error:
            log.debug("systemd was not told: %s", error, extra={"action": "notify.failed"})


def _watchdog(environ: Mapping[str, str]) -> timedelta | None:
    """sd_watchdog_enabled(3): the time counts only for the process that is named, if one is."""
    text = environ.get("WATCHDOG_USEC", "")
    if not text.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return timedelta(microseconds=int(text)) or None


def _line(text: str) -> str:
    return " ".join(text.split())
