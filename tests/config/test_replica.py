"""The replica of a CRM: off unless wanted, a file of its own, and words for what cannot be."""

from datetime import timedelta
from typing import Any

import pytest

SERVER = "postgresql+psycopg://crmsync:sesame@db.example.com/crmsync"
STATE = '[state]\nurl = "sqlite:////srv/sync/state.db"\n'


def _with(good: str, settings: str, *, crm: str = "replica = true") -> str:
    head, rest = good.split("[account.alice]", 1)
    return f"{STATE}{head}{crm}\n\n[crm.main.replica_settings]\n{settings}\n\n[account.alice]{rest}"


def test_off_unless_wanted(loaded: Any, good: str) -> None:
    assert loaded(good).crm["main"].replica is False


def test_defaults(loaded: Any, good: str) -> None:
    config = loaded(_with(good, ""))
    settings = config.crm["main"].replica_settings
    assert config.crm["main"].replica
    assert settings.place("main", config.state.folder) == "sqlite:////srv/sync/replica-main.db"
    assert (settings.interval, settings.policy, settings.mode) == (timedelta(minutes=5), "latest", "auto")
    assert settings.wanted("Contact") is None


def test_where_it_answers(loaded: Any, good: str) -> None:
    def doors(text: str) -> Any:
        return loaded(_with(good, text)).crm["main"].replica_settings.doors

    assert doors("") is None
    assert doors('listen = "[::1]:1"') == ("::1", 1, None, None)
    tls = 'listen_tls = "127.0.0.1:2"\nproxy = "127.0.0.1:3"\n'
    assert doors(tls) == ("127.0.0.1", None, 2, 3)
    assert doors(f'{tls}listen = "127.0.0.1:1"\nproxy_hosts = ["Login.Example.com"]') == (
        "127.0.0.1",
        1,
        2,
        3,
    )


def test_what_stands_in_it(loaded: Any, good: str) -> None:
    text = 'objects = ["Account", "Project__c"]\nfields.Account = ["Name"]\nurl = "sqlite:////srv/copy.db"'
    settings = loaded(_with(good, text)).crm["main"].replica_settings
    assert settings.objects == ("Account", "Project__c")
    assert settings.wanted("Account") == {"Id", "IsDeleted", "Name", "SystemModstamp"}
    assert settings.wanted("Project__c") is None
    assert settings.place("main", loaded(good).state.folder) == "sqlite:////srv/copy.db"


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ('mode = "onlin"', "mode", 'one of "auto", "online", "hybrid", "offline"'),
        ('policy = "hold"', "policy", 'one of "latest", "local", "server", "ask"'),
        ("objects = []", "objects", "at least one entry"),
        ('objects = ["Drop Table"]', "objects[0]", "the API name of an object or field"),
        (
            'fields.Lead = ["Name"]\nobjects = ["Account"]',
            "fields",
            "fields of objects that stand in the replica",
        ),
        ('interval = "0s"', "interval", "at least"),
        ('url = "mysql://u:secret@h/d"', "url", "postgresql+psycopg://user@host/database"),
        ('url = "postgresql+psycopg://u:secret@h:port/d"', "url", "a number as its port"),
        ('proxy = "127.0.0.1:0"', "proxy", "listen_tls as well"),
        ('listen_tls = "127.0.0.1:0"\nproxy = "[::1]:0"', "proxy", "a port of this address"),
        ('listen = "[::1]:1"\nlisten_tls = "127.0.0.1:2"', "listen_tls", "another port of the same address"),
        ('proxy_hosts = ["*.com"]', "proxy_hosts[0]", "a name such as login.example.com"),
        ("intervall = 5", "intervall", "interval"),
    ],
)
def test_what_cannot_be(problems: Any, good: str, settings: str, key: str, words: str) -> None:
    found = problems(_with(good, settings))
    assert list(found) == [f"crm.main.replica_settings.{key}"]
    assert words in str(found[f"crm.main.replica_settings.{key}"])


def test_the_state_is_no_place_for_it(problems: Any, good: str) -> None:
    found = problems(_with(good, 'url = "sqlite:////srv/sync/state.db"'))
    assert "one for the state and crm.main" in str(found["crm"])


def test_a_database_server_may_hold_several_and_the_state(loaded: Any, good: str) -> None:
    text = _with(good, f'url = "{SERVER}"').replace("sqlite:////srv/sync/state.db", SERVER)
    config = loaded(text)
    settings = config.crm["main"].replica_settings
    assert settings.file_or_url("main", config.state.folder) == SERVER
    assert "sesame" not in repr(config)
