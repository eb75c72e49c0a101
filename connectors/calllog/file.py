"""The file of the call log: opened for nobody else to read, and what is wrong with it in words."""

import logging
import os
import sqlite3
import stat
from pathlib import Path

from crmsync.connectors.errors import Unreachable

log = logging.getLogger(__name__)

_ACCESS = "the user that runs crmsync needs write access to the file and its directory"
_SQLITE_SAYS = {
    "SQLITE_FULL": (
        "no space is left for the call log",
        "nothing that was kept is lost; free some space",
    ),
    "SQLITE_READONLY": ("no write access to the call log", _ACCESS),
    "SQLITE_CANTOPEN": ("cannot open the call log", _ACCESS),
    "SQLITE_NOTADB": ("not a call log:", "restore it from a backup, or move it away: a new one is made"),
    "SQLITE_CORRUPT": (
        "damaged: the call log",
        "restore it from a backup, or move it away: calls that are in the CRM stay there",
    ),
    "SQLITE_BUSY": (
        "the call log is busy:",
        "it is tried again; if it stays so, look for a hanging crmsync process",
    ),
}


def secured(file: Path) -> None:
    """Made where it is not there, and for its owner alone. Raises Unreachable.

    A link is not followed: it would have numbers and notes written where others may read them, or other people's calls
    erased."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            _secured(file.with_name(name), make=name == file.name)
    except OSError as error:
        raise explained(file, error) from error


def _secured(file: Path, *, make: bool) -> None:
    if file.is_symlink():
        raise Unreachable(
            f"the call log {file} is a symbolic link, which is not followed",
            hint="name the file itself: [softphone] log",
        )
    if not make and not file.exists():
        return
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_CREAT if make else 0)
    descriptor = os.open(file, flags, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Unreachable(f"the call log {file} is no file", hint="name another one: [softphone] log")
        if found.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
            log.warning(
                "%s could be read by others, and cannot any more", file, extra={"action": "calls.narrowed"}
            )
    finally:
        os.close(descriptor)


def explained(file: Path, error: sqlite3.Error | OSError) -> Unreachable:
    code = getattr(error, "sqlite_errorname", "") or ""
    for begin, (message, hint) in _SQLITE_SAYS.items():
        if code.startswith(begin):
            return Unreachable(f"{message} {file}: {error}", hint=hint)
    if isinstance(error, OSError):
        return Unreachable(f"cannot open the call log {file}: {error.strerror or error}", hint=_ACCESS)
    return Unreachable(f"the call log {file} cannot be used: {error}")
