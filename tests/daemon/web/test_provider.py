"""What a provider of OpenID Connect names, and how far it is trusted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.config.logins import OidcLogin
from crmsync.config.secret import ClearSecret
from crmsync.daemon.web.provider import NotLoggedIn, Provider
from tests.servers.certificates import certified
from tests.servers.quirky import Reply, Request, served


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[tuple[str, list[Request]]]:
    """Its address, with a certificate of nobody's, and what it was asked; endpoints are on the host that the path of
    its url says."""
    seen: list[Request] = []

    def answer(request: Request) -> Reply:
        seen.append(request)
        other = request.path.split("/")[1]
        where = url.replace("127.0.0.1", other)
        known = {"issuer": f"{url}/{other}", "token_endpoint": f"{where}/token", "jwks_uri": f"{where}/keys"}
        return Reply(200, json.dumps(known).encode())

    with served(answer, tls=certified(tmp_path)[0]) as url:
        yield url, seen


@pytest.mark.parametrize(
    ("other", "why", "asked"), [("127.0.0.1", "no id_token", 2), ("localhost", "SSLError", 1)]
)
def test_only_the_host_of_its_url_goes_unchecked(
    requests: tuple[str, list[Request]], other: str, why: str, asked: int
) -> None:
    url, seen = requests
    login = OidcLogin.model_construct(
        url=f"{url}/{other}", client_id="crmsync", client_secret=ClearSecret("secret"), claim="email",
        ca_file=None, verify=False, insecure_host="127.0.0.1",
    )  # fmt: skip
    with pytest.raises(NotLoggedIn, match=why):
        Provider(login).name("code", f"{url}/done", "nonce", "verifier", datetime.now(UTC))
    assert len(seen) == asked
