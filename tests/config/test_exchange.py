"""[exchange]: what is wrong with it is said before anything listens."""

from typing import Any

import pytest

from tests.config.conftest import Loaded, Problems

AUTHORITY = '[schedule]\nauthority = "crm"\n'
CREDENTIAL = '[exchange.credential.main]\nsecret = "0123456789abcdef"\naccounts = ["alice"]\n'


def test_nobody_listens_unless_told(loaded: Loaded, good: str) -> None:
    config = loaded(good)
    assert (config.exchange.address, config.schedule.authority) == (None, "self")


def test_a_whole_one(loaded: Loaded, good: str) -> None:
    more = 'directions = ["reverse"]\nkinds = ["contact"]\n[exchange.credential.main.columns]\ncontact = ["email"]\n'
    config = loaded(f'{AUTHORITY}[exchange]\nlisten = "127.0.0.1:8760"\n{CREDENTIAL}{more}{good}')
    credential = config.exchange.credential["main"]
    assert config.exchange.address == ("127.0.0.1", 8760)
    assert (credential.kinds, credential.directions) == (("contact",), ("reverse",))
    assert (credential.columns.of("contact"), credential.columns.of("task")) == (frozenset({"email"}), None)
    assert credential.covers("alice")
    assert not credential.covers("bob")
    assert "exchange.credential.main.secret" in dict(config.secrets())


def test_a_fingerprint_as_openssl_prints_it(loaded: Loaded, good: str, tmp_path: Any) -> None:
    for name in ("c.pem", "k.pem", "ca.pem"):
        (tmp_path / name).write_text("")
    printed = ":".join(["AB"] * 32)
    text = (
        '[exchange]\nlisten = "0.0.0.0:8760"\nurl = "https://sync.example.com"\n'
        'certificate = "c.pem"\nkey = "k.pem"\nclient_ca = "ca.pem"\n'
        f'[exchange.credential.main]\naccounts = ["*"]\ncertificate = "{printed}"\n'
    )
    assert loaded(text + good).exchange.credential["main"].certificate == "ab" * 32


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (AUTHORITY, "exchange", "listen"),
        (f'{AUTHORITY}[exchange]\nlisten = "127.0.0.1:8760"\n', "exchange", "credential"),
        ('[exchange]\nlisten = "192.0.2.1:8760"\n', "exchange.key", "certificate"),
        ('[exchange]\nlisten = "0.0.0.0:8760"\n', "exchange.url", "URL"),
        ('[exchange]\nlisten = "nowhere"\n', "exchange.listen", "port"),
        ('[exchange]\nclient_ca = "config.toml"\n', "exchange.client_ca", "file that exists"),
        ('[exchange.credential.main]\naccounts = ["alice"]\n', "exchange.credential", "secret"),
        (CREDENTIAL.replace("alice", "eve"), "exchange", "account"),
        (CREDENTIAL + 'certificate = "00"\n', "exchange.credential.main.certificate", "fingerprint"),
        (CREDENTIAL + f'certificate = "{"0" * 64}"\n', "exchange.credential", "client_ca"),
        (
            CREDENTIAL + 'report_to = "http://crm.example.com/"\n',
            "exchange.credential.main.report_to",
            "https",
        ),
        (CREDENTIAL + 'organisation = "example"\n', "exchange.credential.main.organisation", "00D"),
        (CREDENTIAL + "kinds = []\n", "exchange.credential.main.kinds", "at least one"),
        (CREDENTIAL + 'columns.contact = ["shoe"]\n', "exchange.credential.main.columns.contact", "columns"),
    ],
)
def test_what_is_wrong_is_said(problems: Problems, good: str, text: str, key: str, expected: str) -> None:
    found = problems(text + good)
    assert key in found, found
    assert expected in found[key].expected
