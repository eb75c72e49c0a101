"""Keeps what the commands and the service print, log and count, and searches it for what must never be told."""

import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from crmsync.daemon.cli import main
from tests.bars.cli import COMMAND, until

SHOWS_VALUES = {"explain", "history", "conflicts"}
LOGINS = re.compile(r"(logged in as|, user) [^;]+")  # with which ones it works is what ``check`` is asked for
USAGE = 2  # exit code
METRICS_TOKEN = "canary-metrics-Qw5!x"


@dataclass
class Said:
    arguments: tuple[str, ...]
    out: str
    err: str


@dataclass
class Tape:
    config: Path
    said: list[Said] = field(default_factory=list)

    @property
    def whole(self) -> str:
        return "\n".join(said.out + said.err for said in self.said)

    def run(self, *arguments: str, words: bool = False, useless: bool = False) -> None:
        """As JSON, with everything that is ever logged; and in ``words``, as a person reads it. ``useless``: it cannot
        be carried out at all."""
        self._run("--debug", *arguments, "--json", useless=useless)
        if words:
            self._run(*arguments, useless=useless)

    def _run(self, *arguments: str, useless: bool = False) -> str:
        """In this process: starting one for each takes most of the time."""
        out, err = io.StringIO(), io.StringIO()
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(["--config", str(self.config), *arguments])
            assert (code == USAGE) == useless, (arguments, code, err.getvalue())
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        self.said.append(Said(arguments, out.getvalue(), err.getvalue()))
        return out.getvalue()

    @contextmanager
    def service(self) -> Iterator[None]:
        """The service with everything logged, until the block ends; what it said, and what it counted, is kept."""
        text = self.config.read_text()
        if "metrics_token" not in text:
            token = self.config.parent / "metrics-token"
            token.write_text(METRICS_TOKEN)
            token.chmod(0o600)
            self.config.write_text(
                text.replace("[service]", '[service]\nmetrics_token_file = "metrics-token"', 1)
            )
        log = self.config.parent / "service.log"
        with log.open("w") as output:
            command = [COMMAND, "--config", str(self.config), "--debug", "run"]
            environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "400"}
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
            try:
                until(lambda: "the service runs" in log.read_text() or process.poll() is not None)
                yield
                self.said.append(Said(("metrics",), self._metrics(), ""))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        self.said.append(Said(("run",), "", log.read_text()))

    def _metrics(self) -> str:
        link = json.loads(self._run("login-link", "--admin", "--json"))["url"]
        self.said.pop()  # it is there to let somebody in
        with urllib3.PoolManager(retries=False) as pool:
            login = {"Authorization": f"Bearer {METRICS_TOKEN}"}
            answer = pool.request("GET", f"{link.partition('/login')[0]}/metrics", headers=login)
        assert (answer.status, b"crmsync_syncs_total" in answer.data) == (200, True), answer.data
        return answer.data.decode()

    def told(self, secrets: Mapping[str, str], words: Sequence[str]) -> Iterator[str]:
        """Where one of the ``secrets`` stands, by name, or one of the ``words``: who asks to see values sees them on
        stdout."""
        for said in self.said:
            where = " ".join(said.arguments)
            for name, secret in {**secrets, "metrics token": METRICS_TOKEN}.items():
                if secret in said.out + said.err:
                    yield f"{where}: the {name}"
            shows = bool(SHOWS_VALUES & set(said.arguments)) and "resolve" not in said.arguments
            text = said.err if shows else said.out + said.err
            text = LOGINS.sub("", text) if "check" in said.arguments else text
            for word in words:
                if word in text:
                    line = next(line for line in text.splitlines() if word in line)
                    shown = re.sub(r"\s+", " ", line)
                    yield f"{where}: {shown[max(0, shown.index(word) - 150) :][:300]}"
