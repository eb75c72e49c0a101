"""A stand-in for the engine: it answers what the test says and remembers what it was asked."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crmsync.config.load import parse
from crmsync.config.model import Config
from crmsync.daemon.engine import NoSuchAccount
from crmsync.daemon.replica.replicas import Replicas
from crmsync.state.database import State

CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"

[service]
listen = "127.0.0.1:0"
socket = "{folder}/run/control.sock"

[crm.main]
type = "salesforce"
url = "http://127.0.0.1:9"
auth = "client_credentials"
client_id = "client"
client_secret_env = "CRM_SECRET"

[account.alice]
crm = "main"
crm_user = "alice@example.com"

[[account.alice.source]]
type = "carddav"
url = "http://127.0.0.1:9/alice/"
username = "alice"
password_env = "ALICE_PASSWORD"
"""

COUNTS = {"created": 0, "updated": 0, "deleted": 0, "unlinked": 0, "parked": 0, "held": 0, "conflicts": 0}


def config_in(folder: Path) -> Config:
    """One account whose servers do not answer; state and control socket in ``folder``."""
    return parse(CONFIG.format(folder=folder).encode(), folder / "config.toml", {})


def cycle(account: str = "alice", **counts: int) -> dict[str, Any]:
    return {"id": 1, "account": account, **COUNTS, **counts, "requests": 2}


def synced(*cycles: dict[str, Any], errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"cycles": list(cycles), "writes": 0, "errors": errors or []}


def error(code: str = "unreachable", item: str = "", account: str = "alice") -> dict[str, Any]:
    return {"account": account, "item": item, "code": code, "message": f"{code}, in words", "retry": True}


def standing(name: str = "alice", **counts: int) -> dict[str, Any]:
    zeros = {"pending": 0, "parked": 0, "held": 0, "conflicts": 0}
    return {"name": name, "light": "in_step", "last_success": None, **zeros, **counts, "errors": []}


@dataclass(frozen=True)
class Named:
    name: str
    part_of: str = ""


@dataclass
class FakeEngine:
    """``answers``: method -> what it returns, or a function of its arguments, or an exception that it raises."""

    state: State
    answers: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ("alice",)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False
    replicas: Replicas = field(default_factory=Replicas)

    @property
    def accounts(self) -> Mapping[str, Named]:
        return {name: Named(name) for name in self.names}

    def chosen(self, names: Any) -> list[Named]:
        for name in names:
            if name not in self.names:
                raise NoSuchAccount(f"there is no account “{name}”")
        return [Named(name) for name in self.names if not names or name in names]

    def sync(self, names: Any = (), **more: Any) -> Any:
        self.chosen(names)
        return self._answer("sync", synced(), names=list(names), **more)

    def status(self, names: Any = ()) -> Any:
        return self._answer(
            "status", {"accounts": [standing(a.name) for a in self.chosen(names)]}, names=list(names)
        )

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *args, **arguments: self._answer(method, [], *args, **arguments)

    def _answer(self, method: str, default: Any, *args: Any, **arguments: Any) -> Any:
        self.calls.append((method, arguments))
        answer = self.answers.get(method, default)
        if isinstance(answer, BaseException):
            raise answer
        return answer(*args, **arguments) if callable(answer) else answer

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]


@contextmanager
def fake_engine(folder: Path, **answers: Any) -> Iterator[FakeEngine]:
    state = State.open(f"sqlite:///{folder}/state.db", now=lambda: datetime.now(UTC))
    try:
        yield FakeEngine(state, answers)
    finally:
        state.close()


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, time: timedelta) -> None:
        self.at += time


def eventually(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits until it is so; fails when it does not become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
