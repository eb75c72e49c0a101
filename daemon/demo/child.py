"""A server in a process of its own: started, waited for, ended by its process id."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo import leash

START = 90.0  # seconds until it must answer, on a busy machine, too; what ends is not waited for
STOP = 8.0  # seconds until it is killed
LOOK = 0.05


# Below those that the system gives to clients: nobody gets one by chance before it is listened on.
_PORTS = range(20_000, 32_000)


def free_port(following: int = 0) -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment, nor on so many of the following ones."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if all(_is_free(each) for each in range(port, port + 1 + following)):
            return port
    raise Failure("config", f"none of the ports {_PORTS.start} to {_PORTS.stop} of this machine is free")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


class Child:
    """``program``: a module that this Python runs, or a command. Ctrl-C reaches only us: it has a process group of its
    own."""

    def __init__(
        self, what: str, program: str | tuple[str, ...], arguments: Sequence[str], log: Path
    ) -> None:
        self._what = what
        run = (sys.executable, "-m", program) if isinstance(program, str) else program
        self._command = [*run, *arguments]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self, answers: Callable[[], bool]) -> None:
        """Returns when it answers. Raises Failure, and has ended it then."""
        leashed = [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid()), *self._command]
        environ = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}  # systemd knows us, not them
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                leashed, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0, env=environ
            )
        try:
            self._wait(answers)
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raises Failure when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise self._failed(f"ended with exit code {self._process.returncode}")

    def stop(self) -> None:
        """May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def said(self) -> str:
        """The end of its log."""
        try:
            return self.log.read_text(errors="replace")[-2000:].strip() or "nothing"
        except OSError as error:
            return f"(its log {self.log} cannot be read: {error.strerror})"

    def _wait(self, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START
        while not answers():
            self.check()
            if time.monotonic() > deadline:
                raise self._failed(f"did not answer within {START:.0f} s")
            time.sleep(LOOK)

    def _failed(self, how: str) -> Failure:
        return Failure("demo", f"{self._what} {how}. It said:\n{self.said()}")
