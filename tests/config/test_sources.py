"""How a source logs in, and whose mailbox it is."""

from typing import Any

import pytest

from crmsync.config.model import Config

_EWS = """
[[account.alice.source]]
type = "ews"
url = "https://mail.example.com/EWS/Exchange.asmx"
"""


def _source(config: Config) -> Any:
    return config.account["alice"].source[-1]


_GOOD = {
    "basic": ('username = "a"\npassword_env = "P"', False),
    "ntlm": ('auth = "ntlm"\nusername = "EXAMPLE\\\\a"\npassword_env = "P"', False),
    "token": ('auth = "token"\ntoken_env = "T"', False),
    "a delegate": ('username = "a"\npassword_env = "P"\nmailbox = "boss@example.com"', False),
    "impersonation": (
        'username = "a"\npassword_env = "P"\nmailbox = "boss@example.com"\naccess = "impersonate"',
        True,
    ),
    "an application": (
        'auth = "client_credentials"\nclient_id = "c"\nclient_secret_env = "S"\n'
        'token_url = "https://login.example.com/token"\nmailbox = "alice@example.com"',
        True,
    ),
}


@pytest.mark.parametrize("name", _GOOD)
def test_exchange_sources(loaded: Any, good: str, name: str) -> None:
    keys, impersonates = _GOOD[name]
    source = _source(loaded(good + _EWS + keys))
    assert source.type == "ews"
    assert source.impersonates is impersonates


_WRONG = {
    "no password": ('username = "a"', {"password"}),
    "no token": ('auth = "token"', {"token"}),
    "a token beside a password": ('username = "a"\npassword_env = "P"\ntoken_env = "T"', {"token"}),
    "an application without a mailbox": (
        'auth = "client_credentials"\nclient_id = "c"\nclient_secret_env = "S"\ntoken_url = "https://l.example.com/"',
        {"mailbox"},
    ),
    "an application as a delegate": (
        'auth = "client_credentials"\nclient_id = "c"\nclient_secret_env = "S"\n'
        'token_url = "https://l.example.com/"\nmailbox = "a@example.com"\naccess = "delegate"',
        {"access"},
    ),
    "access to nobody": ('username = "a"\npassword_env = "P"\naccess = "impersonate"', {"access"}),
    "a token in clear": (
        'auth = "client_credentials"\nclient_id = "c"\nclient_secret_env = "S"\n'
        'token_url = "http://l.example.com/"\nmailbox = "a@example.com"',
        {"token_url"},
    ),
    "no address": ('username = "a"\npassword_env = "P"\nmailbox = "boss"', {"mailbox"}),
}


@pytest.mark.parametrize("name", _WRONG)
def test_misunderstandings(problems: Any, good: str, name: str) -> None:
    keys, wrong = _WRONG[name]
    assert {key.rpartition(".")[2] for key in problems(good + _EWS + keys)} == wrong


@pytest.mark.parametrize("key", ['auth = "ntlm"', 'mailbox = "boss@example.com"', 'access = "delegate"'])
def test_what_is_only_exchanges(problems: Any, good: str, key: str) -> None:
    found = problems(good + key)
    assert f"account.alice.source[0].{key.split()[0]}" in found
