"""Passwords and keys: where they are, and how to read them when they are needed.

``password_file``, ``password_command``, ``password_env`` and ``password_credential`` work wherever ``password`` does;
so do the same endings of every other secret. A ``Secret`` never shows its value in ``repr`` or ``str``.
"""

import os
import re
import shlex
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crmsync.config.problems import Expected, describe

ENDINGS = ("_file", "_command", "_env", "_credential", "")
LARGEST = 64 * 1024  # bytes of a secret
PATIENCE = 10.0  # seconds that a command may take


class SecretError(Exception):
    """A secret cannot be read. The text is a sentence for the operator and names the file, command or variable."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the words of a configuration file refer to."""

    base: Path  # folder of the file; relative paths start here
    environ: Mapping[str, str] = field(repr=False)
    crms: tuple[str, ...] = ()  # the names that ``account.X.crm`` may have


class Secret(ABC):
    """A password or key that is read each time it is needed, so that a changed file needs no restart."""

    __slots__ = ()

    def reveal(self) -> str:
        """The secret, without the line break at its end. Raises SecretError."""
        raw = self._read()
        if len(raw) > LARGEST:
            raise SecretError(f"{self} gives more than {LARGEST} bytes: that is no secret")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise SecretError(f"{self} does not give UTF-8 text") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise SecretError(f"{self} is empty")
        return text

    def warning(self) -> str:
        """What is unwise about where the secret lies, as a sentence; or empty."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def _read(self) -> bytes: ...


@dataclass(frozen=True, slots=True, repr=False)
class ClearSecret(Secret):
    """Stands in the configuration file itself, because someone insists."""

    _value: str

    def __str__(self) -> str:
        return "the secret in the configuration file"

    def _read(self) -> bytes:
        return self._value.encode()

    def warning(self) -> str:
        return f"{self} stands there in clear; a _file, _command, _env or _credential keeps it out"


@dataclass(frozen=True, slots=True, repr=False)
class FileSecret(Secret):
    path: Path

    def __str__(self) -> str:
        return f"the secret file {self.path}"

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(LARGEST + 1)
        except FileNotFoundError:
            raise SecretError(f"{self} does not exist") from None
        except PermissionError:
            raise SecretError(f"{self} ({_mode(self.path)}) may not be read by this user") from None
        except OSError as error:
            raise SecretError(f"{self} cannot be read: {error.strerror}") from None

    def warning(self) -> str:
        try:
            mode = self.path.stat().st_mode
        except OSError:
            return ""  # reveal() says what is wrong
        if mode & 0o004:
            return f"{self} can be read by every user (mode {mode & 0o7777:04o}); chmod 600 {self.path}"
        return ""


@dataclass(frozen=True, slots=True, repr=False)
class CommandSecret(Secret):
    """What a program prints. It is started without a shell; its error output goes where ours goes."""

    argv: tuple[str, ...]
    base: Path
    environ: Mapping[str, str] = field(compare=False)
    patience: float = PATIENCE

    def __str__(self) -> str:
        return f"the secret command {self.argv[0]}"  # arguments may be secret themselves

    def _read(self) -> bytes:
        try:
            process = subprocess.Popen(
                self.argv,
                cwd=self.base,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,  # so that whatever it starts can be ended with it
            )
        except (OSError, ValueError) as error:
            raise SecretError(f"{self} cannot be started: {error}") from None
        with process:
            try:
                output, _ = process.communicate(timeout=self.patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise SecretError(f"{self} did not answer within {self.patience:g} s") from None
        if process.returncode:
            raise SecretError(f"{self} failed with exit code {process.returncode}; run it by hand to see why")
        return output


@dataclass(frozen=True, slots=True, repr=False)
class EnvSecret(Secret):
    name: str
    environ: Mapping[str, str] = field(compare=False)

    def __str__(self) -> str:
        return f"the environment variable {self.name}"

    def _read(self) -> bytes:
        if self.name not in self.environ:
            raise SecretError(f"{self} is not set")
        return os.fsencode(self.environ[self.name])


@dataclass(frozen=True, slots=True, repr=False)
class CredentialSecret(Secret):
    """A file that systemd hands to the service (LoadCredential=, systemd.exec(5))."""

    name: str
    environ: Mapping[str, str] = field(compare=False)

    def __str__(self) -> str:
        return f"the systemd credential {self.name}"

    def _read(self) -> bytes:
        folder = self.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SecretError(
                f"{self} is only there inside the systemd service "
                f"(LoadCredential={self.name}:/path in the unit sets CREDENTIALS_DIRECTORY); a command that is to have "
                f"it too: systemd-run --pty --wait -p DynamicUser=yes -p User=crmsync -p StateDirectory=crmsync -p "
                f"LoadCredential={self.name}:/path crmsync …"
            )
        path = Path(folder) / self.name
        if not path.is_file():
            raise SecretError(f"{self} was not handed over: add LoadCredential={self.name}:/path to the unit")
        return FileSecret(path)._read()


def given(keys: Mapping[str, object], name: str, around: Surroundings) -> Secret:
    """The secret ``name`` from the keys that stand for it (``{"password_file": "crm-password"}``). Raises Expected."""
    if len(keys) > 1:
        raise Expected("exactly one of them", found=" and ".join(keys))
    ((key, value),) = keys.items()
    make = _MAKERS[key.removeprefix(name)]
    try:
        return make(value, around)
    except Expected as error:
        raise Expected(str(error), found=f"{key} = {error.found or _nature(value)}") from None


def _clear(value: object, around: Surroundings) -> Secret:
    return ClearSecret(_text(value, "the secret as text"))


def _file(value: object, around: Surroundings) -> Secret:
    return FileSecret(around.base / _text(value, "the path of a file that holds only the secret"))


def _command(value: object, around: Surroundings) -> Secret:
    expected = 'a command, as a list such as ["pass", "show", "crm"] or as one text'
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        argv = tuple(str(part) for part in value)
    else:
        text = _text(value, expected)
        try:
            argv = tuple(shlex.split(text))
        except ValueError:
            raise Expected(expected, found="a quote that is not closed") from None
    if not argv or not argv[0]:
        raise Expected(expected, found="no command")
    return CommandSecret(argv, around.base, around.environ)


def _env(value: object, around: Surroundings) -> Secret:
    expected = "the name of an environment variable"
    name = _text(value, expected)
    if not re.fullmatch(r"[A-Za-z_]\w*", name):  # not the secret itself, please
        raise Expected(expected)
    return EnvSecret(name, around.environ)


def _credential(value: object, around: Surroundings) -> Secret:
    expected = "the name of a credential, as in LoadCredential=NAME:/path"
    name = _text(value, expected)
    if "/" in name or name in (".", ".."):
        raise Expected(expected)
    return CredentialSecret(name, around.environ)


_MAKERS: Mapping[str, Callable[[object, Surroundings], Secret]] = {
    "_file": _file,
    "_command": _command,
    "_env": _env,
    "_credential": _credential,
    "": _clear,
}


def _text(value: object, expected: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise Expected(expected)
    return value


def _nature(value: object) -> str:
    """What kind of thing stands there, never the value itself: a password may stand in the wrong key."""
    if isinstance(value, str):
        return "a text that cannot be right" if value else "an empty text"
    return "no text" if isinstance(value, (bool, int, float)) else describe(value)


def _mode(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "in a folder that is closed to us"
    return f"mode {status.st_mode & 0o7777:04o}, owned by user id {status.st_uid}"
