"""A CRM's scheduler, and the service that it talks to: the adaptor over the small world, on a free port of loopback."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from crmsync.config.exchange import Credential, Exchange
from crmsync.config.secret import ClearSecret
from crmsync.daemon.adaptor.adaptor import Adaptor
from crmsync.daemon.adaptor.signing import Signed
from crmsync.daemon.plan.grant import NOTHING
from crmsync.daemon.turns import Turns
from crmsync.state.model import JobState
from tests.daemon.cycle.world import World

SECRET = "a secret of sixteen characters or more"
TOKEN = "another one, for waking, of some length"
NONCE = "a-nonce-of-the-crm-{:04}"
REVERSE, FORWARD = "/exchange/v1/reverse-sync", "/exchange/v1/forward-sync"


def credential(**more: Any) -> Credential:
    return Credential.model_construct(
        **{
            "secret": ClearSecret(SECRET),
            "wake_token": ClearSecret(TOKEN),
            "accounts": ("alice",),
            **more,
        }
    )


class _Quick(World):
    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'state.db'}?synchronous=normal"
        super().__init__(folder)


@dataclass
class Office:
    folder: Path
    credentials: Mapping[str, Credential] = field(default_factory=lambda: {"main": credential()})
    patience: float = 10.0
    settings: Mapping[str, Any] = field(default_factory=dict)  # more of [exchange]

    def __post_init__(self) -> None:
        self.world = _Quick(self.folder)
        self.world.engine.by_itself = NOTHING
        self.woken: list[str] = []
        self.asked = 0
        self.open()

    def open(self) -> None:
        self.turns = Turns(self.world.engine)
        config = Exchange.model_construct(
            listen="127.0.0.1:0", credential=dict(self.credentials), **self.settings
        )
        self.adaptor = Adaptor(
            config, self.turns, self.woken.append, lambda *_: None, self.world.clock, patience=self.patience
        )
        self.adaptor.open()
        assert self.adaptor.line is not None
        self.port, self.url = self.adaptor.line.port, self.adaptor.line.url
        self.http = urllib3.PoolManager(retries=False, timeout=60.0)

    def close(self) -> None:
        self.adaptor.close()
        self.http.clear()
        self.world.close()

    # what a CRM does

    def nonce(self) -> str:
        self.asked += 1
        return NONCE.format(self.asked)

    def time(self) -> int:
        return int(self.world.clock().timestamp())

    def signed(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        name: str = "main",
        secret: str = SECRET,
        nonce: str = "",
        late: int = 0,
    ) -> dict[str, str]:
        signed = Signed(method, path, self.time() - late, nonce or self.nonce(), body)
        return dict(signed.headers(name, secret))

    def ask(
        self,
        path: str = REVERSE,
        said: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        **signing: Any,
    ) -> tuple[int, dict[str, Any]]:
        body = said if isinstance(said, bytes) else json.dumps(said or {"accounts": ["alice"]}).encode()
        given = self.signed("POST", path, body, **signing) if headers is None else headers
        return self.send("POST", path, body, {**given, **(more or {})})

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        answer = self.http.request(method, self.url + path, body=body or None, headers=dict(headers))
        return answer.status, json.loads(answer.data)

    def look(self, job: str, **signing: Any) -> tuple[int, dict[str, Any]]:
        path = f"/exchange/v1/jobs/{job}"
        return self.send("GET", path, b"", self.signed("GET", path, b"", **signing))

    def done(self, path: str = REVERSE, said: Any = None) -> dict[str, Any]:
        """Asks, and waits until the job is over."""
        status, answer = self.ask(path, said)
        assert status == 202, answer
        return self.over(answer["job"])

    def over(self, job: str) -> dict[str, Any]:
        def ended() -> bool:
            return JobState(self.look(job)[1]["state"]).over

        until(ended)
        return self.look(job)[1]

    # what stands in the audit log

    def audit(self) -> list[dict[str, Any]]:
        return self.world.engine.exchange_audit(1000)

    def rules(self) -> list[str]:
        """Of what was refused, the newest first."""
        return [line["rule"] for line in self.audit() if not line["allowed"]]


def until(right: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not right():
        assert time.monotonic() < deadline
        time.sleep(0.01)
