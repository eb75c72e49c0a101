"""The processes of a measurement: servers, proxies, and whoever is measured."""

import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Server:
    """One of the bench's own servers, or a proxy."""

    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: str = "", *, method: str = "POST") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
            return json.loads(data) if data else None
        finally:
            connection.close()


@dataclass(frozen=True)
class Counts:
    """What went through a proxy, or several."""

    purposes: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes both ways, by purpose

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    @property
    def requests(self) -> int:
        return sum(self.purposes.values())

    @property
    def writes(self) -> int:
        return sum(n for p, n in self.purposes.items() if p in ("PUT", "PATCH", "POST", "DELETE"))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            Counter(self.purposes) + Counter(other.purposes), Counter(self.sizes) + Counter(other.sizes)
        )


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Server]:
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield Server(int(line), process)
    finally:
        process.terminate()
        process.communicate()


def counted(proxy: Server) -> Counts:
    """Since the last time that it was asked."""
    told = proxy.ask("/_bench/counts", method="GET")
    return Counts(told["purposes"], told["bytes"])


@dataclass
class Worker:
    """A measured process that takes commands, one line of JSON each, and answers with one."""

    process: subprocess.Popen[str]

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended while it was asked to {command}")
        answer = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(f"{command}: {answer['failed']}")
        return answer


@contextmanager
def working(module: str, *arguments: str) -> Iterator[Worker]:
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Worker(process)
    finally:
        try:
            process.communicate(timeout=10)  # the end of its input is the end of its work
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
