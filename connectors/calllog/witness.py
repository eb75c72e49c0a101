"""A witness outside of the call log: how far it had come. A log that is found behind it was restored from an older
copy; the numbers that it gives next were given before, for something else.

It is never ahead of what is on disk, and may be behind: a few bytes in a file beside the log, written without waiting.
"""

import contextlib
import os
from pathlib import Path

__all__ = ["Witness"]


class Witness:
    def __init__(self, log: Path) -> None:
        # Hidden, and not called like the log's own files: whoever copies those back leaves it alone.
        self._file = log.with_name(f".seen-{log.name}")

    def last(self) -> tuple[str, int] | None:
        """The log's mark and its last number; None where nothing that can be read was noted."""
        try:
            mark, serial = self._file.read_text("ascii").split()
            return mark, int(serial)
        except (OSError, ValueError):
            return None

    def note(self, mark: str, serial: int) -> None:
        """A disk that takes nothing more costs the witness, and nothing else."""
        draft = self._file.with_name(f"{self._file.name}.new")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="ascii") as file:
                file.write(f"{mark} {serial}\n")
            os.replace(draft, self._file)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
