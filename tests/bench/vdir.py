"""vdirsyncer, with which people copy address books, at what it can do of the work."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """[general]
status_path = "{folder}/status/"

[pair bench]
a = "one"
b = "two"
collections = null

[storage one]
type = "carddav"
url = "{one}"
username = "bench"
password = "bench"

[storage two]
type = "carddav"
url = "{two}"
username = "bench"
password = "bench"
"""


@dataclass(frozen=True)
class Took:
    wall: float
    cpu: float


def command() -> str | None:
    """Where it is installed: beside this Python, or anywhere."""
    beside = Path(sys.executable).with_name("vdirsyncer")
    return str(beside) if beside.exists() else shutil.which("vdirsyncer")


class Vdirsyncer:
    """``one`` and ``two`` are addresses of books. Starting the programme is not counted: what a run over nothing
    takes is taken off."""

    def __init__(self, program: str, folder: Path, one: str, two: str) -> None:
        self._command = [program, "-v", "ERROR", "-c", str(folder / "vdirsyncer.conf")]
        (folder / "vdirsyncer.conf").write_text(_CONFIG.format(folder=folder, one=one, two=two))
        self._run("discover", "--no-list")
        self._start = min((self._run("sync") for _ in range(2)), key=lambda t: t.wall)

    def sync(self) -> Took:
        took = self._run("sync")
        return Took(max(took.wall - self._start.wall, 0.0), max(took.cpu - self._start.cpu, 0.0))

    def _run(self, *arguments: str) -> Took:
        before, start = _cpu(), time.perf_counter()
        done = subprocess.run(
            [*self._command, *arguments], input="y\n" * 4, capture_output=True, text=True, env={**os.environ}
        )
        if done.returncode != 0:
            raise RuntimeError(json.dumps([arguments, done.stdout[-800:], done.stderr[-800:]]))
        return Took(time.perf_counter() - start, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
