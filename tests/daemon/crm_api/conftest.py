"""One embedded CRM over HTTP for the tests of a module, and the shortest way to talk to it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from tests.servers.embedded_crm import EmbeddedCrm, User, embedded_crm

V = "/services/data/v59.0"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The errorCode of the first error."""
        return str(self.json[0]["errorCode"])


@dataclass(frozen=True)
class Api:
    """Requests with one user's session; paths begin after the version unless they begin with /services or /id."""

    crm: EmbeddedCrm
    pool: urllib3.PoolManager
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        raw: bytes | None = None,
        headers: Any = None,
        **query: str,
    ) -> Answer:
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        full = path if path.startswith(("/services", "/id", "//")) else f"{V}/{path}"
        url = f"{self.crm.url}{full}" + (f"?{urlencode(query)}" if query else "")
        sent = {"Content-Type": "application/json", **self.headers, **(headers or {})}
        reply = self.pool.request(method, url, body=content, headers=sent, redirect=False)
        return Answer(reply.status, reply.headers, reply.data)

    def create(self, name: str, **fields: Any) -> str:
        answer = self("POST", f"sobjects/{name}", fields)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def token(self, **form: str) -> Answer:
        """POST to the token endpoint."""
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        return self("POST", "/services/oauth2/token", raw=urlencode(form).encode(), headers=sent)

    def as_user(self, user: User) -> "Api":
        answer = self.token(
            grant_type="password",
            client_id=self.crm.client_id,
            client_secret=self.crm.client_secret,
            username=user.username,
            password=user.password,
        )
        assert answer.status == 200, answer.body
        return Api(self.crm, self.pool, {"Authorization": f"Bearer {answer.json['access_token']}"})


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm() as running:
        yield running


@pytest.fixture(scope="module")
def nobody(crm: EmbeddedCrm) -> Iterator[Api]:
    """Requests without a session."""
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield Api(crm, pool)


@pytest.fixture
def api(nobody: Api) -> Api:
    """The integration user."""
    return nobody.as_user(nobody.crm.sync)


@pytest.fixture
def alice(nobody: Api) -> Api:
    return nobody.as_user(nobody.crm.alice)
