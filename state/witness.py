"""A witness outside the state database: how far each account's state had come. Whoever finds the state behind it knows
that the state was lost, restored from an older copy, or that its last commits did not reach the disk.

It is never ahead of what was committed, and may be behind: it is a few bytes in a file for each account, beside the key
that signs the link stamps, and written without waiting for the disk.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_MOST = 10**15  # cycles: what is beyond has not been written by us, and no database would take it


@dataclass(frozen=True, slots=True)
class Seen:
    incarnation: str  # of the database: another one for each that is made
    cycle: int  # the account's last one


class Witness:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, account: str) -> Seen | None:
        """None where nothing was ever noted, or nothing that can be read: then there is nothing to compare with."""
        return _read(self._file(account))

    def furthest(self) -> int:
        """The last cycle of all accounts, which are numbered together, in whatever database."""
        return max((seen.cycle for file in self._files() if (seen := _read(file)) is not None), default=0)

    def note(self, account: str, seen: Seen) -> None:
        """The caller holds the account's lock. A disk that takes nothing more costs the witness, and nothing else."""
        file = self._file(account)
        draft = file.with_name(f"{file.name}.new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(f"{seen.incarnation} {seen.cycle}\n", "ascii")
            os.replace(draft, file)
        except OSError:
            draft.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except OSError:
            return []

    def _file(self, account: str) -> Path:
        return self._folder / quote(account, safe=" @").replace(".", "%2E")


def _read(file: Path) -> Seen | None:
    try:
        incarnation, cycle = file.read_text("ascii").split()
        return Seen(incarnation, int(cycle)) if 0 <= int(cycle) < _MOST else None
    except (OSError, ValueError):
        return None
