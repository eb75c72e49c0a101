"""``check`` and the telephones."""

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.config.load import parse
from crmsync.config.model import Config
from crmsync.config.problems import ConfigError
from crmsync.daemon.telephony.probing import answer, probed
from tests.daemon.fakes import CONFIG
from tests.servers.asterisk import SECRET, USER, Ami, exchange


def config(folder: Path, more: str, account: str = "") -> Config:
    text = CONFIG.format(folder=folder).replace('crm_user = "alice@', account + '\ncrm_user = "alice@') + more
    return parse(text.encode(), folder / "config.toml", {})


def now() -> datetime:
    return datetime.now(UTC)


def test_what_is_heard_and_what_is_not(tmp_path: Path):
    with exchange(Ami) as ami, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        login = f'username = "{USER}"\npassword = "{SECRET}"'
        found = probed(config(tmp_path, f"""
[telephony.pbx]
type = "asterisk_ami"
port = {ami.port}
{login}

[telephony.desk]
type = "baresip"
port = {nobody.getsockname()[1]}
"""), now)  # fmt: skip
    assert [one["ok"] for one in found] == [True, False]
    assert "no baresip answers" in found[1]["message"]


def test_what_the_service_hears():
    assert answer("desk", None)["ok"]
    assert not answer("desk", "")["ok"]


@pytest.mark.parametrize(
    ("more", "account", "expected"),
    [
        ('[telephony.x]\ntype = "baresip"\nusername = "u"', "", "no such key"),
        ('[telephony.x]\ntype = "asterisk_ari"', "", "a value, which type"),
        ('[telephony.x]\ntype = "baresip"\nhost = "192.0.2.1"', "", "insecure_host"),
        ('[telephony.x]\ntype = "baresip"\nregion = "Germany"', "", "telephony.x.region"),
        ("", 'telephone = "x"', "account.alice.telephone"),
        (
            '[telephony.x]\ntype = "asterisk_ami"\nusername = "u"\npassword = "p"',
            'telephone = "x"',
            "account.alice.extension",
        ),
        ('[softphone]\norigins = ["*"]', "", "softphone.origins"),
        ('[softphone]\norigins = ["https://a.example;script-src"]', "", "softphone.origins"),
        ('[softphone]\norigins = ["https://crm.example.com/x"]', "", "softphone.origins"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(tmp_path: Path, more: str, account: str, expected: str):
    with pytest.raises(ConfigError, match=expected):
        config(tmp_path, "\n" + more, account)


def test_origins_as_browsers_say_them(tmp_path: Path):
    told = '["https://CRM.example.com:443/", "http://crm.example.com:8080", "http://[::1]:80"]'
    found = config(tmp_path, f"\n[softphone]\norigins = {told}").softphone.origins
    assert found == ("https://crm.example.com", "http://crm.example.com:8080", "http://[::1]")
