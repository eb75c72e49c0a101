from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmsync.config.account import Threshold
from crmsync.config.crm import ClientCredentialsLogin, JwtLogin, PasswordLogin
from crmsync.config.load import candidates, load, parse
from crmsync.config.problems import ConfigError


def test_defaults(loaded, good):
    config = loaded(good)
    assert config.state.url == "sqlite:////var/lib/crmsync/state.db"
    assert config.state.history == timedelta(days=90)
    assert config.state.key_path == Path("/var/lib/crmsync/link.key")
    assert (config.schedule.interval, config.schedule.settle) == (
        timedelta(seconds=60),
        timedelta(seconds=10),
    )
    assert (config.schedule.reconcile, config.schedule.retries) == (timedelta(hours=24), 8)
    assert config.service.address == ("127.0.0.1", 8750)
    assert config.service.socket == Path("/run/crmsync/control.sock")
    alice = config.account["alice"]
    assert (alice.first_link, alice.select, alice.tag, alice.crm_select) == ("hold", "tagged", "CRM", "owned")
    assert (alice.private, alice.time_zone, alice.addresses) == ("skip", "UTC", ())
    assert alice.delete_rule("contact") == "mirror"
    assert alice.collection_for("contact") is None
    assert alice.threshold("contact") == Threshold(250, 25)
    assert alice.threshold("appointment") == Threshold(50, 10)
    assert alice.threshold("task") == Threshold(50, 75)
    assert alice.source[0].collections is None
    assert alice.source[0].verify


def test_everything_can_be_set(loaded, good, tmp_path):
    (tmp_path / "ca.pem").write_text("a certificate")
    text = (
        """
        [state]
        url = "postgresql+psycopg://crmsync@db.example.com/crmsync"
        history = "2w"
        key_file = "keys/link.key"
        [schedule]
        interval = "10m"
        settle = "0s"
        [service]
        listen = "[::1]:0"
        socket = "control.sock"
        log_level = "debug"
        """
        + good.replace("[[account", "crm_select = \"Rating = 'Hot'\"\n[[account")
        + """
        ca_file = "ca.pem"
        collections = ["Contacts", "Team"]
        [account.alice.delete]
        contact = "unlink"
        [account.alice.guard.contact]
        count = 5
        [account.alice.default_collection]
        contact = "Contacts"
        """
    )
    config = loaded(text)
    assert config.state.file is None
    assert config.state.key_path == tmp_path / "keys/link.key"
    assert config.schedule.interval == timedelta(minutes=10)
    assert config.service.address == ("::1", 0)
    assert config.service.socket == tmp_path / "control.sock"
    alice = config.account["alice"]
    assert alice.crm_select == "Rating = 'Hot'"
    assert alice.source[0].ca_file == tmp_path / "ca.pem"
    assert alice.source[0].collections == ("Contacts", "Team")
    assert alice.delete_rule("contact") == "unlink"
    assert alice.delete_rule("task") == "mirror"
    assert alice.threshold("contact") == Threshold(5, 25)
    assert alice.collection_for("contact") == "Contacts"


def test_link_key_lies_beside_the_database(loaded, good):
    config = loaded(good + '[state]\nurl = "sqlite:////srv/my%20data/state.db"')
    assert config.state.file == Path("/srv/my data/state.db")
    assert config.state.key_path == Path("/srv/my data/link.key")


def test_logins(loaded, good):
    password = loaded(good, CRM_PASSWORD="p").crm["main"].login
    assert isinstance(password, PasswordLogin)
    assert password.password.reveal() == "p"

    without_user = good.replace('username = "sync@example.com"\n', "").replace(
        'password_env = "CRM_PASSWORD"\n', ""
    )
    credentials = without_user.replace('auth = "password"', 'auth = "client_credentials"')
    assert isinstance(loaded(credentials).crm["main"].login, ClientCredentialsLogin)

    jwt = good.replace('auth = "password"', 'auth = "jwt"\naudience = "https://login.example.com"')
    jwt = jwt.replace("client_secret_file", "private_key_file").replace('password_env = "CRM_PASSWORD"\n', "")
    login = loaded(jwt).crm["main"].login
    assert isinstance(login, JwtLogin)
    assert login.audience == "https://login.example.com"


# ── The file ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_the_file_is_looked_for():
    assert candidates({"CRMSYNC_CONFIG": "/srv/c.toml", "HOME": "/home/alice"}) == [Path("/srv/c.toml")]
    assert candidates({"HOME": "/home/alice"}) == [
        Path("/etc/crmsync/config.toml"),
        Path("/home/alice/.config/crmsync/config.toml"),
    ]
    assert candidates({}) == [Path("/etc/crmsync/config.toml")]


def test_the_file_of_the_command_line_wins(tmp_path, good):
    file = tmp_path / "mine.toml"
    file.write_text(good)
    assert "alice" in load(file, {"CRMSYNC_CONFIG": "/nowhere/config.toml"}).account


def test_the_file_of_the_environment(tmp_path, good):
    file = tmp_path / "mine.toml"
    file.write_text(good)
    assert "alice" in load(None, {"CRMSYNC_CONFIG": str(file)}).account


def test_no_file_says_where_it_was_sought_and_what_to_type(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "missing.toml", {})
    text = str(caught.value)
    assert str(tmp_path / "missing.toml") in text
    assert "crmsync init" in text


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_a_byte_order_mark_does_no_harm(loaded, good):
    assert loaded("\ufeff" + good).account


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[state]\nurl = sqlite", "line 2, column 7"),
        ("[state]\n  histroy", "line 2, column "),
        ('a = "', "line 1, column "),
    ],
)
def test_broken_toml_names_line_and_column(problems, text, place):
    ((key, problem),) = problems(text).items()
    assert key.startswith(place)
    assert "broken TOML" in problem.found


def test_bytes_that_are_not_text_name_the_line(tmp_path):
    with pytest.raises(ConfigError, match="line 2: found bytes that are not UTF-8"):
        parse(b"a = 1\nb = '\xff'", tmp_path / "c.toml", {})


_sections = st.sampled_from(
    ["state", "schedule", "service", "crm", "account", "source", "main", "mapping", "x"]
)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"9" * 5000)
@example(b"a = 2026-13-45")
@example(b"[crm]\n[crm]")
def test_any_bytes_give_a_configuration_error(data):
    with pytest.raises(ConfigError) as caught:
        parse(data, Path("/nowhere/config.toml"), {})
    assert str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(_sections, min_size=1, max_size=5, unique=True), st.integers(0, 6)), max_size=4
    )
)
def test_any_shape_gives_a_configuration_error(shape):
    """Tables where values belong, and the other way round."""
    values = ("1", '"x"', "true", "[1]", "[{}]", "{}", "2026-01-01")
    text = "\n".join(f"{'.'.join(path)} = {values[n]}" for path, n in shape)
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), Path("/nowhere/config.toml"), {})
    assert str(caught.value)
