"""The product as its users have it: the ``crmsync`` command, as a process of its own."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.warm import Command

COMMAND = str(Path(sys.executable).with_name("crmsync"))
DEADLINE = 800.0  # seconds for one command; a first sync of 2,000 items takes a fraction of it


@dataclass(frozen=True)
class Answer:
    """What one invocation left behind. A traceback is never an answer."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err + self.out, self.err + self.out

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    config: Path

    def __call__(self, *arguments: str) -> Answer:
        """``crmsync --config FILE ARGUMENTS --json``, waited for."""
        with self.started(*arguments) as process:
            return finished(process)

    def ok(self, *arguments: str) -> Any:
        """The document of a command that must end with 0."""
        answer = self(*arguments)
        assert answer.code == 0, (arguments, answer)
        return answer.json

    def plain(self, *arguments: str) -> Answer:
        """Without ``--json``: what a person reads."""
        with self._process([*arguments]) as process:
            return finished(process)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Command]:
        with self._process([*arguments, "--json"]) as process:
            yield process

    @contextmanager
    def _process(self, arguments: Sequence[str]) -> Iterator[Command]:
        environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        with Command(["--config", str(self.config), *arguments], environ) as process:
            yield process


def finished(process: Command) -> Answer:
    out, err = process.communicate(timeout=DEADLINE)
    return Answer(process.returncode, out, err)


def until(condition: Any, seconds: float = 60.0) -> None:
    """Waits for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
