"""Real vCards and calendar objects, many of them broken. ``CRMSYNC_CORPORA`` names the folder with them, else they lie
in ``corpora`` below what ``CRMSYNC_SHARED`` names; without either, the tests that want them are skipped."""

import os
from pathlib import Path

import pytest

_SHARED = os.environ.get("CRMSYNC_SHARED", "")
FOLDER = os.environ.get("CRMSYNC_CORPORA", "") or (_SHARED and f"{_SHARED}/corpora")
needs_corpora = pytest.mark.skipif(not FOLDER, reason="CRMSYNC_CORPORA names no folder with real items")


def files(kind: str) -> list[Path]:
    """``vcard`` or ``icalendar``."""
    return sorted((Path(FOLDER) / kind).iterdir()) if FOLDER else []


def lines(text: str) -> list[str]:
    """Logical lines with their folds and line ends, found by other means than the code under test."""
    found: list[list[str]] = []
    quoted = False
    for physical in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        soft = quoted and bool(found) and found[-1][-1].endswith("=")
        if found and (soft or physical[:1] in (" ", "\t")):
            found[-1].append(physical)
            quoted = quoted or "QUOTED-PRINTABLE" in physical.upper()
        else:
            found.append([physical])
            quoted = "QUOTED-PRINTABLE" in physical.upper()
    return ["\n".join(pieces) for pieces in found]


def changed_names(before: str, after: str) -> set[str]:
    """Names (upper case, without group) of the lines that one text has and the other has not."""
    old, new = lines(before), lines(after)
    for line in list(old):
        if line in new:
            old.remove(line)
            new.remove(line)
    return {
        line.replace("\n ", "").partition(":")[0].partition(";")[0].rpartition(".")[2].upper()
        for line in old + new
    }
