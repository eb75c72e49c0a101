"""Commands of crmsync as processes of their own that need not load it first.

To import what ``crmsync sync`` needs takes longer than most syncs of the tests. One process of each test session has
imported it already, does nothing else, and splits: each command is a fork of it, with its arguments, environment and
outputs, and ends as a process does. What the script itself does before (`test_wheel.py`) is not seen here.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
_LARGEST = 1 << 17  # bytes of one order: arguments and environment
_NUMBER = struct.Struct("i")


class Command:
    """``crmsync ARGUMENTS``, under way; as ``subprocess.Popen`` in what it offers. Killed where its context ends.

    ``output`` is an open file, for all that it prints.
    """

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], output: IO[bytes] | None = None
    ) -> None:
        self.args = ("crmsync", *arguments)
        self.returncode: int | None = None
        self._files = () if output else tuple(tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115
        self._told, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {"arguments": [*arguments], "environ": dict(environ), "cwd": os.getcwd()}
        with told:
            fds = [file.fileno() for file in self._files or (output, output) if file]
            socket.send_fds(_nursery(), [json.dumps(order).encode()], [*fds, told.fileno()])
        self.pid = self._number()

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the end, and returns what was printed: on stdout, on stderr."""
        self.wait(timeout)
        out, err = self._files
        return _text(out), _text(err)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ends in this moment
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        for end in (*self._files, self._told):
            end.close()

    def _ended(self, timeout: float | None) -> int | None:
        """Several threads may ask: what was said is left where it is."""
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._told, select.POLLIN)
            if waiting.poll(None if timeout is None else timeout * 1000):
                try:
                    self.returncode = self._number(socket.MSG_PEEK)
                except OSError:  # another thread has heard it and closed this
                    if self.returncode is None:
                        raise
        return self.returncode

    def _number(self, flags: int = 0) -> int:
        said = self._told.recv(_NUMBER.size, flags)
        assert said, "the process that starts crmsync's commands has gone"
        return int(_NUMBER.unpack(said)[0])


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode())


@cache
def _nursery() -> socket.socket:
    """To the process that has imported everything. It ends with this one, whatever ends this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.servers.warm", str(theirs.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=ROOT)

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait(30)

    return ours


# ── in the process that splits ───────────────────────────────────────────────────────────────────────────────────────


def _serve(orders: socket.socket) -> None:
    """Until nobody asks any more."""
    while True:
        order, fds, _, _ = socket.recv_fds(orders, _LARGEST, 3)
        if not order:
            return
        if os.fork() == 0:
            orders.close()
            _watched(json.loads(order), *fds)
        for fd in fds:
            os.close(fd)
        _reap()


def _watched(order: Mapping[str, Any], out: int, err: int, tell: int) -> NoReturn:
    """Splits again: the one half tells how the other one ends."""
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        _command(order, out, err)
    with (
        socket.socket(fileno=tell) as told,
        contextlib.suppress(BrokenPipeError),
    ):  # nobody waits for it any more
        told.send(_NUMBER.pack(pid))
        status = os.waitpid(pid, 0)[1]
        told.send(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _command(order: Mapping[str, Any], out: int, err: int) -> NoReturn:
    from crmsync.daemon.cli import main

    for mine, standard in ((out, 1), (err, 2)):
        os.dup2(mine, standard)
        os.close(mine)
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    os.chdir(order["cwd"])
    try:
        code = main(order["arguments"])
        threading._shutdown()  # as the interpreter ends, but for the putting away of a hundred megabytes
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001 - told as the interpreter tells it
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _load() -> None:
    """What commands import when they begin, and what they do when they first need it."""
    import exchangelib  # noqa: F401

    import crmsync.config.load
    import crmsync.daemon.app
    import crmsync.daemon.cli
    import crmsync.daemon.service
    import crmsync.state.migration  # noqa: F401


if __name__ == "__main__":
    _load()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
