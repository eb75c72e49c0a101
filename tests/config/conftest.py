"""A valid configuration, and a way to load variations of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crmsync.config.load import parse
from crmsync.config.model import Config
from crmsync.config.problems import ConfigError, Problem

GOOD = """
[crm.main]
type = "salesforce"
url = "https://crm.example.com"
auth = "password"
client_id = "app"
client_secret_file = "client-secret"
username = "sync@example.com"
password_env = "CRM_PASSWORD"

[account.alice]
crm = "main"
crm_user = "alice@example.com"

[[account.alice.source]]
type = "carddav"
url = "https://dav.example.com/alice/"
username = "alice"
password = "in clear"
"""

Loaded = Callable[..., Config]
Problems = Callable[..., dict[str, Problem]]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    def load(text: str, **environ: str) -> Config:
        return parse(text.encode(), tmp_path / "config.toml", environ)

    return load


@pytest.fixture
def problems(loaded: Loaded) -> Problems:
    """What is wrong with a text, by key."""

    def find(text: str, **environ: str) -> dict[str, Problem]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, **environ)
        return {problem.key: problem for problem in caught.value.problems}

    return find
