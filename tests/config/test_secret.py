import copy
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.config.secret import (
    LARGEST,
    ClearSecret,
    CommandSecret,
    CredentialSecret,
    EnvSecret,
    FileSecret,
    SecretError,
)


def source_secret(loaded, good, line, **environ):
    text = good.replace('password = "in clear"', line)
    return loaded(text, **environ).account["alice"].source[0].password


def private(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_a_file_is_relative_to_the_configuration_and_loses_one_line_break(loaded, good, tmp_path):
    private(tmp_path / "pw", b" s3cret \r\n")
    assert source_secret(loaded, good, 'password_file = "pw"').reveal() == " s3cret "


def test_a_file_is_read_when_it_is_needed(loaded, good, tmp_path):
    secret = source_secret(loaded, good, 'password_file = "pw"')
    with pytest.raises(SecretError, match="pw does not exist"):
        secret.reveal()
    private(tmp_path / "pw", b"one")
    assert secret.reveal() == "one"
    private(tmp_path / "pw", b"two")
    assert secret.reveal() == "two"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * (LARGEST + 1), "more than"),
    ],
)
def test_a_file_that_holds_no_secret(tmp_path, data, complaint):
    with pytest.raises(SecretError, match=complaint):
        FileSecret(private(tmp_path / "pw", data)).reveal()


def test_a_folder_is_no_secret(tmp_path):
    with pytest.raises(SecretError, match="cannot be read"):
        FileSecret(tmp_path).reveal()


def test_a_file_that_everybody_can_read_is_warned_of(loaded, good, tmp_path):
    private(tmp_path / "pw", b"x").chmod(0o644)
    config = loaded(good.replace('password = "in clear"', 'password_file = "pw"'))
    (warning,) = config.warnings()
    assert warning.startswith("account.alice.source[0].password: ")
    assert "mode 0644" in warning
    assert "chmod 600" in warning
    (tmp_path / "pw").chmod(0o640)
    assert config.warnings() == []


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may read everything, so that root becomes somebody else for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_a_file_that_is_closed_to_us_names_its_mode(nobody):
    with tempfile.TemporaryDirectory() as folder:
        file = private(Path(folder) / "pw", b"x")
        file.chmod(0)
        with pytest.raises(SecretError, match="mode 0000"):
            FileSecret(file).reveal()


def test_a_secret_in_clear_is_warned_of(loaded, good):
    (warning,) = loaded(good).warnings()
    assert warning.startswith("account.alice.source[0].password: ")
    assert "in clear;" in warning


def test_an_environment_variable(loaded, good):
    assert source_secret(loaded, good, 'password_env = "PW"', PW="p").reveal() == "p"
    with pytest.raises(SecretError, match="environment variable PW is not set"):
        source_secret(loaded, good, 'password_env = "PW"').reveal()


def test_a_systemd_credential(loaded, good, tmp_path):
    private(tmp_path / "dav", b"p\n")
    line = 'password_credential = "dav"'
    assert source_secret(loaded, good, line, CREDENTIALS_DIRECTORY=str(tmp_path)).reveal() == "p"
    with pytest.raises(SecretError, match="LoadCredential=dav:"):
        source_secret(loaded, good, line).reveal()
    with pytest.raises(SecretError, match="was not handed over"):
        source_secret(loaded, good, 'password_credential = "x"', CREDENTIALS_DIRECTORY=str(tmp_path)).reveal()


def test_a_credential_stays_in_its_folder(problems, good):
    found = problems(good.replace('password = "in clear"', 'password_credential = "../shadow"'))
    assert list(found) == ["account.alice.source[0].password"]


@pytest.mark.parametrize("command", ["""'printf "%s\\n" "a b"'""", "['printf', '%s\\n', 'a b']"])
def test_a_command_as_a_text_or_a_list(loaded, good, command):
    assert (
        source_secret(loaded, good, f"password_command = {command}", PATH=os.environ["PATH"]).reveal()
        == "a b"
    )


def test_a_command_is_no_shell(loaded, good, tmp_path):
    line = "password_command = 'echo $HOME; touch made'"
    assert source_secret(loaded, good, line, PATH=os.environ["PATH"]).reveal() == "$HOME; touch made"
    assert not (tmp_path / "made").exists()


def command(*argv: str, patience: float = 10.0) -> CommandSecret:
    return CommandSecret(argv, Path("/"), {"PATH": os.environ["PATH"]}, patience)


def test_a_command_that_fails_says_so_without_its_arguments():
    with pytest.raises(SecretError, match="exit code 3") as caught:
        command("sh", "-c", "exit 3", "hunter2").reveal()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SecretError, match="cannot be started"):
        command("no-such-program").reveal()


def test_a_command_that_hangs_is_ended_with_its_children():
    begun = time.monotonic()
    with pytest.raises(SecretError, match=r"within 0\.2 s"):
        command("sh", "-c", "sleep 300 & wait", patience=0.2).reveal()
    assert time.monotonic() - begun < 100  # far below the child's 300 s


@pytest.mark.parametrize(
    "secret",
    [
        ClearSecret("hunter2"),
        EnvSecret("PW", {"PW": "hunter2"}),
        CredentialSecret("pw", {"CREDENTIALS_DIRECTORY": "/", "X": "hunter2"}),
        command("echo", "hunter2"),
    ],
)
def test_a_secret_never_shows_itself(secret):
    for text in (repr(secret), str(secret), f"{secret}", repr([secret]), repr(copy.copy(secret))):
        assert "hunter2" not in text


def test_a_configuration_never_shows_a_secret(loaded, good):
    config = loaded(good + '[state]\nurl = "postgresql+psycopg://u:hunter2@db/crm"')
    for text in (
        repr(config),
        str(config),
        repr(config.account["alice"].source[0]),
        repr(config.model_dump()),
    ):
        assert "in clear" not in text
    assert "hunter2" not in repr(config)


def test_a_configuration_that_did_not_change_is_equal(loaded, good):
    """So that a reload restarts only what changed."""
    first, second = loaded(good), loaded(good)
    assert first == second
    changed = loaded(good.replace("in clear", "another"))
    assert changed.crm == first.crm
    assert changed.account != first.account
