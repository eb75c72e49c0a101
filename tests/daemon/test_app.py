"""From a configuration to a working engine."""

from pathlib import Path

import pytest

from crmsync.config.load import parse
from crmsync.connectors.abilities import Watching
from crmsync.daemon.app import build
from tests.daemon.fakes import CONFIG, config_in

EXCHANGE = """
[[account.alice.source]]
type = "ews"
url = "http://127.0.0.1:9/EWS/Exchange.asmx"
username = "alice"
password_env = "ALICE_PASSWORD"
"""
UNCHECKED = """url = "https://{host}/"
verify = false
insecure_host = "{host}"
"""
SOURCE, CRM = 'url = "http://127.0.0.1:9/alice/"\n', 'url = "http://127.0.0.1:9"\n'
WEBHOOK = """
[alerts.webhook]
secret_env = "HOOK_SECRET"
"""
PROVIDER = """
[login.oidc]
client_id = "crmsync"
client_secret_env = "OIDC_SECRET"
"""


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("account.alice.source[0]", CONFIG.replace(SOURCE, UNCHECKED)),
        ("crm.main", CONFIG.replace(CRM, UNCHECKED)),
        ("alerts.webhook", CONFIG + WEBHOOK + UNCHECKED),
        ("login.oidc", CONFIG + PROVIDER + UNCHECKED),
    ],
)
def test_a_certificate_that_is_not_checked_shows_in_the_status(tmp_path: Path, where: str, text: str) -> None:
    text = text.format(folder=tmp_path, host="there.example.com")
    engine = build(parse(text.encode(), tmp_path / "config.toml", {}))
    (alice,) = engine.status()["accounts"]
    engine.close()
    assert alice["notices"] == [
        f"{where}: the certificate of there.example.com is not checked (`verify = false`)"
    ]


def test_who_can_be_watched_is_watched(tmp_path: Path) -> None:
    """A source that is made when it is first needed shows what it can do before."""
    text = CONFIG.format(folder=tmp_path) + EXCHANGE
    engine = build(parse(text.encode(), tmp_path / "config.toml", {}))
    dav, exchange = (mailbox.source for mailbox in engine.accounts["alice"].mailboxes)
    engine.close()
    assert isinstance(exchange, Watching)
    assert not isinstance(dav, Watching)


def test_nothing_is_said_where_all_are_checked(tmp_path: Path) -> None:
    engine = build(config_in(tmp_path))
    (alice,) = engine.status()["accounts"]
    engine.close()
    assert alice["notices"] == []
