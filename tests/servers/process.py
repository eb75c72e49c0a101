"""Starting a real server for a test, and ending it by its process id."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crmsync.daemon.demo.child import free_port

__all__ = ["free_port", "listens", "running"]

DEADLINE = 60.0  # seconds until a server must answer


@contextmanager
def running(
    command: Sequence[str], log: Path, answers: Callable[[], bool], *, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once ``answers`` says so; terminated at the end, and killed if it will not go."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}
        )
        try:
            _wait(process, answers, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            state = (
                f"ended with {process.returncode}" if process.returncode is not None else "does not answer"
            )
            raise RuntimeError(f"{process.args!r} {state}:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
